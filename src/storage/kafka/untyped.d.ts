declare module 'snappyjs' {
  const snappy: {
    compress(data: Buffer): Buffer;
    uncompress(data: Buffer): Buffer;
  };
  export default snappy;
}

declare module 'lz4js' {
  const lz4: {
    /** Both in the LZ4 frame format. */
    compress(data: Uint8Array): Uint8Array;
    decompress(data: Uint8Array): Uint8Array;
  };
  export default lz4;
}
