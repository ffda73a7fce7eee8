-- As PostHog's, but the newest version counts instead of the last arrival.
CREATE TABLE IF NOT EXISTS groups
(
    group_type_index UInt8,
    group_key String,
    created_at DateTime64(3, 'UTC'),
    team_id Int64,
    group_properties String CODEC(ZSTD(3)),
    version UInt64,
    _timestamp DateTime,
    _offset UInt64
)
ENGINE = ReplacingMergeTree(version)
ORDER BY (team_id, group_type_index, group_key)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
