-- Dead letters that went back into the log, by the record that they are about: noted before the append, so that each
-- goes back at most once. Without a place: somebody died in between, or the log did not answer.
CREATE TABLE tributary_replayed (
    source text NOT NULL,
    event_uuid uuid NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now(),
    partition integer,
    record_offset bigint,
    PRIMARY KEY (source, event_uuid)
);
