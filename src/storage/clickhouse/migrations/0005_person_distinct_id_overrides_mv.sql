-- Version 0 is a distinct id that has the person its first event carries: nothing to override.
CREATE MATERIALIZED VIEW IF NOT EXISTS person_distinct_id_overrides_mv
TO person_distinct_id_overrides
AS SELECT team_id, distinct_id, person_id, is_deleted, version, _timestamp, _offset, _partition
FROM person_distinct_id2
WHERE version > 0
