export type EmbeddedPostgres = { url: string; died: Promise<Error>; stop(): Promise<void> };
export function startEmbeddedPostgres(_options: { dataDir: string; maxConnections?: number; workerUrl?: URL }): Promise<EmbeddedPostgres> {
  return Promise.reject(new Error("not there yet"));
}
