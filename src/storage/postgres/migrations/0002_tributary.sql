-- Where the worker stands in each partition of a log: owner's epoch, read position, what has no fate yet, and how
-- often each fate was met. Written in the same transaction as the persons that it is about.
CREATE TABLE tributary_partition (
    log_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    epoch bigint NOT NULL,
    first_offset bigint NOT NULL,
    folded_below bigint NOT NULL,
    read_position bigint NOT NULL,
    unfinished jsonb NOT NULL,
    held integer NOT NULL,
    in_flight integer NOT NULL,
    fates jsonb NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_id, topic, partition)
);

-- Offsets at or above folded_below that were folded, with the persons that their save wrote.
CREATE TABLE tributary_folded (
    log_id text NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    from_offset bigint NOT NULL,
    to_offset bigint NOT NULL,
    persons uuid[] NOT NULL,
    PRIMARY KEY (log_id, topic, partition, from_offset)
);

-- Rows that ClickHouse refused, by the record that they came from: they count as dead letters, not as rows.
CREATE TABLE tributary_refused_row (
    log_id text NOT NULL,
    source text NOT NULL,
    reason text NOT NULL,
    refused_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (log_id, source)
);

-- What ended at the door, before the log.
CREATE TABLE tributary_door (
    kind text NOT NULL,
    reason text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (kind, reason)
);
