/**
 * Under the custom server main.ts has built the runtime before this runs. On a host that starts Next alone it is built here:
 * the gateway and REST then work through the route handlers, without sockets, workers or the embedded database.
 */
export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== "nodejs") return;
  const { findRuntime } = await import("@/adapters/runtime");
  if (findRuntime()) return;
  const { startRuntimeInNext } = await import("@/adapters/start-in-next");
  await startRuntimeInNext();
}
