/** Every bound of the system, with its unit. Back-pressure is what these do to one another. */

const KIB = 1024;
const MIB = 1024 * KIB;

export const LIMITS = {
  capture: {
    /** Bytes of a request's body on the wire. */
    bodyBytesMax: 20 * MIB,
    /** Bytes of a body after it was inflated. */
    inflatedBytesMax: 20 * MIB,
    /** Bytes of one record on the log, envelope and all (Kafka's `message.max.bytes`). */
    eventBytesMax: 1_000_000,
    eventsPerBatchMax: 20_000,
    /** Bytes of bodies that are being read, decoded or appended, over all connections. */
    bytesInFlightMax: 128 * MIB,
    /** Of those, what only bodies of so few bytes may use: some large ones that never end keep nobody else out. */
    smallBodiesReservedBytes: 32 * MIB,
    smallBodyBytesMax: 256 * KIB,
    /** Connections at the same time, each with one request at most; with fewer open files allowed, fewer of them. */
    connectionsMax: 12_000,
    /** Open files that connections leave to everything else. */
    filesReserved: 500,
    /** How long a body may take from its first byte to its last. The library cuts those that are slower than 16 KB/s. */
    bodyTimeoutMs: 60_000,
    /** Of a body that comes in more pieces than this, the pieces have so many bytes on average. */
    smallPiecesMax: 1_000,
    pieceBytesMin: 64,
    /** Bytes of an answer that are handed over at once; of a larger one only as much as its reader takes. */
    answerAtOnceBytesMax: 16 * KIB,
    jsonDepthMax: 100,
    /** Object keys and array elements of one event. */
    jsonKeysMax: 50_000,
    distinctIdCharsMax: 200,
    tokenBytesMax: 64,
    eventNameCharsMax: 200,
    retryAfterSeconds: 5,
    headersBytesMax: 32_768,
    /** A body that inflates to at most this many bytes is inflated at once, a larger one on another thread. */
    inflateAtOnceBytesMax: 256 * KIB,
    /** Bodies that wait to be inflated there; they are inflated one after the other. */
    inflateWaitingMax: 200,
    /** A body of more bytes than this is worked on in pieces, between which others have their turn. */
    workAtOnceBytesMax: 256 * KIB,
    /** Bytes and events of such a piece, and bodies that wait to be worked on so: there is one at a time. */
    pieceBytesMax: 64 * KIB,
    pieceEventsMax: 50,
    largeWaitingMax: 100,
    /** Past these nothing of such a body is parsed: nesting, and keys and array elements of one event and of all. */
    parsedDepthMax: 1_000,
    parsedEventKeysMax: 200_000,
    parsedKeysMax: 2_000_000,
    /** Characters of a body that old clients have compressed with lz-string; it is decoded at once. */
    lz64CharsMax: 1 * MIB,
    /** How long one zstd body may take on its thread, and how many wait for it. */
    zstdTimeoutMs: 2_000,
    zstdWaitingMax: 100,
    /** Bytes of a refused body that are read and thrown away so that its sender sees the answer. */
    discardedBodyBytesMax: 64 * MIB,
    /** How long requests may still take when capture closes. */
    closeGraceMs: 2_000,
  },
  /** What capture keeps on its disk while Kafka does not take it; `SPOOL_MB` bounds it. */
  spool: {
    /** How long the log may take for an append before events go to the disk. */
    appendTimeoutMs: 2_000,
    /** A file that has so many bytes is followed by another one. */
    segmentBytesMax: 8 * MIB,
    /** Bytes of one write with its fsync. */
    groupBytesMax: 8 * MIB,
    /** Records and bytes of one append from the disk to the log. */
    drainRecordsMax: 1_000,
    drainBytesMax: 1 * MIB,
    /** With so little left on the disk new events wait until the log has it, and so long at most. */
    switchBytesMax: 1 * MIB,
    switchTimeoutMs: 2_000,
    retryBackoffMinMs: 100,
    retryBackoffMaxMs: 2_000,
    /** Tries to read a file; then it is put aside. */
    readTriesMax: 5,
    /** Between two notes of how much is there. */
    reportEveryMs: 1_000,
    /** How long a stop waits for what is on its way to the disk, or for such a note. */
    closeMs: 1_000,
  },
  /** Questions for feature flags that are handed to a PostHog host. */
  flags: {
    /** Clients wait 3 s themselves. */
    timeoutMs: 2_500,
    concurrencyMax: 64,
    bodyBytesMax: 1 * MIB,
    answerBytesMax: 4 * MIB,
    /** Bytes of bodies of such questions, over all connections. */
    bytesInFlightMax: 16 * MIB,
  },
  log: {
    /** Bytes of events waiting in the embedded log before the door answers 503. */
    bytesMax: 8 * 1024 * MIB,
    /** Bytes of the newest records that are read from memory. */
    recentBytesMax: 8 * MIB,
    /** Bytes that are kept although everybody has committed past them. */
    retainedBytesMax: 256 * MIB,
    /** Time for which records are kept although everybody has committed past them. */
    retainedMs: 60 * 60 * 1000,
    /** Past this even what drains the log (every topic but ingestion) is refused. */
    drainBytesMax: 10 * 1024 * MIB,
    /** Appends are merged into one transaction up to here; a larger one gets a transaction to itself. */
    appendRecordsMax: 2_000,
    appendBytesMax: 8 * MIB,
    /** Bytes of appends waiting for their transaction; past it they are refused as if the log were full. */
    appendWaitingBytesMax: 256 * MIB,
    /** A transaction that takes longer counts as failed, outcome unknown, and the log as unavailable. */
    commitTimeoutMs: 10_000,
    /** Bytes of records stored under one key of the embedded log; a larger record has a key to itself. */
    chunkBytesMax: 64 * KIB,
    /** Bytes of one read, a chunk more or less. */
    readBytesMax: 4 * MIB,
    /** Records of one read of a reader without a group. */
    tailRecordsMax: 500,
    /** Bytes that the log leaves free on its disk: events stop at the first bound, what drains it at the second. */
    diskFreeEventsBytesMin: 64 * MIB,
    diskFreeBytesMin: 32 * MIB,
    /** Between two tries whether a log that could not be written can be again. */
    probeEveryMs: 1_000,
    /** Bytes of such a try, at least: a full disk has room for little things, from time to time. */
    probeBytesMin: 1 * MIB,
    retentionEveryMs: 5_000,
    /** Chunks that one transaction deletes. */
    retentionChunksMax: 256,
  },
  kafka: {
    /** Records and bytes of one produce request. */
    requestRecordsMax: 10_000,
    requestBytesMax: 8 * MIB,
    /** Bytes of one partition's batch in it (Kafka: `max.message.bytes`); a larger record has a batch to itself. */
    batchBytesMax: 960_000,
    /** `max.message.bytes` that a topic needs: an event with its key and headers. */
    messageBytesMin: 1_048_588,
    /** How long new topics may take until they have their leaders. */
    topicsTimeoutMs: 15_000,
    /** How long the first append after a silence waits for company. */
    lingerMs: 2,
    /** Bytes of appends that wait or are on their way; past it they are refused as if the log were full. */
    queueBytesMax: 128 * MIB,
    /** An append that takes longer counts as failed, outcome unknown. */
    appendTimeoutMs: 10_000,
    connectTimeoutMs: 1_000,
    /** One request without an answer. */
    requestTimeoutMs: 5_000,
    /** Offsets and commits that were asked for. */
    askTimeoutMs: 5_000,
    retryBackoffMinMs: 50,
    retryBackoffMaxMs: 1_000,
    /** A member without a heartbeat for this long has lost its partitions. */
    sessionTimeoutMs: 10_000,
    /** How long a rebalance waits for a member that does not answer. */
    rebalanceTimeoutMs: 10_000,
    heartbeatEveryMs: 400,
    /** A member that has been out of its group for longer is in trouble. */
    joinTimeoutMs: 15_000,
    /** How often a member looks whether its session is over. */
    watchEveryMs: 250,
    /** How long a new partition waits for its former owner to hear that it has lost it. */
    handOverMs: 100,
    /** How long the broker holds an empty fetch. */
    fetchWaitMs: 50,
    fetchPartitionBytesMax: 1 * MIB,
    fetchBytesMax: 8 * MIB,
    /** Records of one call of a reader without a group. */
    tailRecordsMax: 500,
    /** How often an idle process looks whether a broker answers. */
    probeEveryMs: 2_000,
    /** Kafka can be used again once no produce request has failed for this long. */
    produceQuietMs: 3_000,
    /** How long leaving a group, or the log, may take. */
    closeMs: 1_500,
  },
  worker: {
    /** Records of one poll. */
    pollRecordsMax: 100,
    /** Records of a partition that were read and have no fate yet; past it the partition is paused. */
    inFlightPerPartitionMax: 1_000,
    /** Bytes of them, over all partitions; past it every partition is paused. */
    inFlightBytesMax: 128 * MIB,
    /** Events waiting for one person; past it the partition is paused. */
    inFlightPerPersonMax: 500,
    /** Events whose ids are looked up together, and that are dispatched in one turn of the event loop. */
    dispatchEntriesMax: 100,
    flushEventsMax: 1_000,
    /** Events that are folded, or settled after a save, in one turn of the event loop; those of one person stay together. */
    turnEventsMax: 25,
    /** Persons and groups that are sent together of saves whose records left the log; those of one save always are. */
    resendAtOnceMax: 500,
    /** Held events that went on by time or memory and have no row yet; past it others that are due wait. */
    releasedInFlightMax: 2_000,
    /** Held ids that are due within the same time of this length share a timer. */
    holdSlotMs: 50,
    /** How often the end of the log is asked for while held ids wait for their partition to get there. */
    holdAskEveryMs: 200,
    /** Held events whose way on is remembered, for those who ask. */
    releasesRememberedMax: 10_000,
    /** Between two notices that events are held. */
    holdNoticeEveryMs: 5_000,
    /** Ingestion warnings that are remembered, so that of each kind and source there is one an hour. */
    warningsRememberedMax: 50_000,
    groupTypesCachedMax: 10_000,
    groupCacheBytesMax: 32 * MIB,
    flushBytesMax: 8 * MIB,
    flushLingerMs: 20,
    /** Batches of rows that are saved and not yet on the output topics. */
    outboxBatchesMax: 2,
    /** Ids that merges have moved and that are not told yet; past it no save begins. */
    outboxBulkMax: 100_000,
    /** Those of them that are told along with one batch: nobody's rows wait for more. */
    outboxBulkPartMax: 1_000,
    /** Messages of one append to the output topics. */
    appendRecordsMax: 2_000,
    progressEveryMs: 1_000,
    /** Progress is saved as often as that, although nothing has happened. */
    progressIdleEveryMs: 5_000,
    /** How long a stop waits for what was read to get its rows; the rest is replayed. */
    closeMs: 3_000,
    /** How long it waits for Postgres to take the progress; what is not saved is replayed. */
    closeSaveMs: 2_000,
    /** How long it waits for the log to take the last commits, which only those need who watch the log. */
    closeCommitMs: 1_000,
    identityCacheBytesMax: 64 * MIB,
    /** Distinct ids that one merge moves; a merge of more is a dead letter. */
    mergeIdsMax: 50_000,
    /** Bytes of one record on an output topic. */
    outputBytesMax: 1_000_000,
    /** Bytes of a too large record that its dead letter keeps. */
    deadLetterPayloadBytesMax: 64 * KIB,
    /** Records remembered for each partition to recognise a repeated uuid, and for how long. */
    duplicatesMax: 50_000,
    duplicateWindowMs: 10 * 60 * 1000,
    recoverBackoffMinMs: 100,
    recoverBackoffMaxMs: 5_000,
    /** After a failure all is well again once something got its fate, or nothing had to for this long. */
    quietForMs: 2_000,
    /** Between two looks how far the worker is behind. */
    lagEveryMs: 2_000,
    /** After this long without any move on a partition that has work, only a restart is expected to help. */
    stalledAfterMs: 60_000,
    /** Before a worker takes its partitions again that another one has taken: it may not own them any more. */
    fencedBackoffMs: 1_000,
  },
  loader: {
    batchRowsMax: 50_000,
    batchBytesMax: 16 * MIB,
    /** How long a row waits for company when little flows, and when much does. */
    lingerMinMs: 100,
    lingerMaxMs: 1_000,
    /** Rows from which a batch counts as load: the wait doubles after it, and halves after a smaller one. */
    busyBatchRows: 1_000,
    /** Bytes of rows of one table that wait or are being inserted; past it its partitions are paused. */
    waitingBytesMax: 32 * MIB,
    pollRecordsMax: 2_000,
    /** One statement to a ClickHouse server, other than a query of the console. */
    insertTimeoutMs: 60_000,
    /** How long a stop waits for ClickHouse to hear that its queries are cancelled. */
    cancelTimeoutMs: 1_000,
    /** Characters of ClickHouse's words that a dead letter keeps. */
    refusalCharsMax: 1_000,
    deadLettersPerAppendMax: 100,
    retryBackoffMinMs: 100,
    retryBackoffMaxMs: 10_000,
  },
  /** ClickHouse's own reading of the topics. */
  kafkaEngine: {
    consumersPerTable: 1,
    /** A block is inserted when it has so many rows, or is so old. */
    blockRowsMax: 50_000,
    flushIntervalMs: 1_000,
    /** How often is looked for rows that it refused, how far back at the start and how far back later. */
    lookEveryMs: 5_000,
    lookBackFirstMs: 24 * 60 * 60 * 1000,
    lookBackMs: 60_000,
    /** Refused rows of one query. */
    refusedRowsMax: 1_000,
    /** How long a stop waits for such a query to end. */
    closeMs: 500,
  },
  postgres: {
    statementTimeoutMs: 5_000,
    lockTimeoutMs: 5_000,
    idleInTransactionTimeoutMs: 5_000,
    connectTimeoutMs: 5_000,
    /** Without any answer for this long the connection counts as lost. */
    answerTimeoutMs: 10_000,
    /** A mere BEGIN that takes longer is worth a line in the log. */
    slowAnswerMs: 1_000,
    poolMax: 8,
    /** A save that another transaction was in the way of is tried so often in all. */
    saveTriesMax: 3,
    teamCacheMs: 2_000,
    /** After this long without an answer, the last known one is used. */
    teamAskMs: 1_000,
    teamsMax: 10_000,
    /** Restrictions of one project. */
    restrictionsMax: 10_000,
  },
  deadLetters: {
    /** That one answer lists. */
    listMax: 1_000,
    /** That go back in one request, and the bytes of their events in one append. */
    replayMax: 50,
    appendBytesMax: 4 * MIB,
    /** Bytes of one event that goes back: with its headers it is at most what a topic takes. */
    eventBytesMax: 1_040_000,
    requestBytesMax: 64 * KIB,
    /** How long a request may take. */
    requestTimeoutMs: 120_000,
  },
  commands: {
    /** How long `send` waits for the row, and how often it looks. */
    rowTimeoutMs: 10_000,
    rowPollMs: 25,
    /** Partitions of one replay, and records of each: a worker keeps a note of every one. */
    replayPartitionsMax: 1_000,
    replayRecordsMax: 1_000_000,
    /** How often it looks whether a held event has been released. */
    heldPollMs: 100,
    /** How long a command waits for a system that is starting. */
    startTimeoutMs: 15_000,
    startPollMs: 200,
    /** One request to the running system, other than a query. */
    requestTimeoutMs: 10_000,
  },
  dataDir: {
    /** Tries at a stale lock, each lost to another process. */
    lockAttemptsMax: 10,
  },
  embeddedPostgres: {
    /** Includes the recovery after a crash. */
    startTimeoutMs: 60_000,
    /** Time for a stop with open transactions rolled back; then the server is stopped without ceremony. */
    stopTimeoutMs: 4_000,
    /** Starts on another port, or once remains of a killed server have gone. */
    startAttemptsMax: 20,
    startRetryMs: 300,
    /** Between two looks whether the server still runs. */
    watchEveryMs: 250,
    /** Between two tries to start a server that has ended by itself. */
    restartBackoffMinMs: 250,
    restartBackoffMaxMs: 5_000,
    connectionsMax: 50,
    sharedBuffersBytes: 64 * MIB,
    /** Bytes of the server's log file; past it the next start begins a new one and keeps the old one. */
    logBytesMax: 10 * MIB,
  },
  process: {
    /** After this a stop gives up and the process exits. */
    stopTimeoutMs: 9_000,
    /** A second signal within this is the same Ctrl-C: npm passes on what the terminal has sent already. */
    sameSignalMs: 500,
    /** How long a start waits for the worker to take its partitions before events are let in. */
    takeTimeoutMs: 2_000,
    /** A start that takes longer says what it waits for. */
    progressAfterMs: 1_000,
  },
  console: {
    /** One check of `/_ready`. */
    checkTimeoutMs: 2_000,
    /** Between two notes of what ended at the door. */
    doorEveryMs: 1_000,
    /** How long a stop waits for the last note; what is not written by then is lost. */
    doorCloseMs: 1_000,
    sqlBytesMax: 1 * MIB,
    sqlRowsMax: 100_000,
    sqlTimeoutMs: 60_000,
    /** Bytes of an answer, as text. */
    sqlAnswerBytesMax: 64 * MIB,
    /** Queries of strangers that run at the same time. */
    sqlConcurrencyMax: 4,
  },
} as const;
