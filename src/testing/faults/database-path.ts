import { startChaosProxy, type ChaosProxy } from "../chaos-proxy";

/** The same database by a way that can be made slow or be cut. */
export async function databaseByAnotherPath(connectionString: string): Promise<ChaosProxy & { url: string }> {
  const url = new URL(connectionString);
  const proxy = await startChaosProxy({ host: url.hostname, port: Number(url.port || 5432) });
  url.hostname = "127.0.0.1";
  url.port = String(proxy.port);
  return Object.assign(proxy, { url: url.href });
}
