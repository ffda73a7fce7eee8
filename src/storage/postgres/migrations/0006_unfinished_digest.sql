-- Of the list of unfinished offsets: one that was lost, changed by hand or taken from a backup is told by it.
ALTER TABLE tributary_partition ADD COLUMN unfinished_digest text;
UPDATE tributary_partition SET unfinished_digest = md5(unfinished::text);
ALTER TABLE tributary_partition ALTER COLUMN unfinished_digest SET NOT NULL;
