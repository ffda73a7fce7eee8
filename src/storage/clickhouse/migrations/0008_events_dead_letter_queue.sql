-- What could not be processed; kept for four weeks.
CREATE TABLE IF NOT EXISTS events_dead_letter_queue
(
    id UUID,
    event_uuid UUID,
    event String,
    properties String CODEC(ZSTD(3)),
    distinct_id String,
    team_id Int64,
    elements_chain String,
    created_at DateTime64(6, 'UTC'),
    ip String,
    site_url String,
    now DateTime64(6, 'UTC'),
    raw_payload String CODEC(ZSTD(3)),
    error_timestamp DateTime64(6, 'UTC'),
    error_location String,
    error String,
    tags Array(String),
    _timestamp DateTime,
    _offset UInt64
)
ENGINE = ReplacingMergeTree(_timestamp)
ORDER BY (id, event_uuid, distinct_id, team_id)
TTL toDate(_timestamp) + INTERVAL 4 WEEK
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
