-- Asked for: records from this offset on are read again, so that their rows are sent again. Over once progress is saved.
ALTER TABLE tributary_partition ADD COLUMN replay_from bigint;
