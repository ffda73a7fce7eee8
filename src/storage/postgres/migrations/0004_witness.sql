-- The order in which events were folded, for proofs: a row for each save, written in the save's own
-- transaction while it has the locks on the persons. `versions`: of `persons`, after the save.
CREATE TABLE tributary_witness (
    place bigserial PRIMARY KEY,
    log_id text NOT NULL,
    topic text NOT NULL,
    partitions integer[] NOT NULL,
    offsets bigint[] NOT NULL,
    persons uuid[] NOT NULL,
    versions bigint[] NOT NULL,
    saved_at timestamptz NOT NULL DEFAULT now()
);
