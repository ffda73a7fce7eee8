/** The books of the whole system, as `GET /_ledger` answers them. Made from what is durable, not from memory. */

export interface Books {
  /** Records of `events_plugin_ingestion`: end minus first offset known. */
  readonly acknowledged: number;
  /** Records not read yet. */
  readonly waiting: number;
  readonly held: number;
  readonly in_flight: number;
  readonly rows: number;
  readonly dead_lettered: Readonly<Record<string, number>>;
  readonly dropped: Readonly<Record<string, number>>;
  /** (read position − first) − fates − held − in flight, summed: always 0. */
  readonly imbalance: number;
  /** Events in the disk spools at the doors, as each of them said last. */
  readonly spooled: number;
  readonly door: {
    readonly refused: Readonly<Record<string, number>>;
    readonly dead_lettered: Readonly<Record<string, number>>;
    readonly discarded: Readonly<Record<string, number>>;
  };
}
