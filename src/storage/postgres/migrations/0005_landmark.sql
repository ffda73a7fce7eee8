-- A record that was read, by which a log that was made anew under the old identity can be told.
ALTER TABLE tributary_partition ADD COLUMN landmark jsonb;
