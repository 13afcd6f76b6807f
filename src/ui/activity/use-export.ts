import { useState } from "react";

type Export = {
  isRunning: boolean;
  /** Rows that have come so far. */
  rows: number;
  problem: string | undefined;
  start: (query: string) => Promise<void>;
};

/** Streams the CSV of what is filtered, counting rows as they come, and saves it. */
export function useExport(orgId: string): Export {
  const [isRunning, setRunning] = useState(false);
  const [rows, setRows] = useState(0);
  const [problem, setProblem] = useState<string>();

  async function start(query: string): Promise<void> {
    setRunning(true);
    setRows(0);
    setProblem(undefined);
    try {
      const answer = await fetch(`/api/cost-events/export?${query}`, { headers: { "x-nullspend-org": orgId } });
      if (!answer.ok || answer.body === null) throw new Error(await messageOf(answer));
      save(new Blob(await collect(answer.body), { type: "text/csv;charset=utf-8" }));
    } catch (error) {
      setProblem(error instanceof Error ? error.message : "The connection was lost. Try again.");
    } finally {
      setRunning(false);
    }
  }

  async function collect(body: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>[]> {
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    const reader = body.getReader();
    // The first line names the columns.
    let lines = -1;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return chunks;
      chunks.push(value);
      for (const byte of value) if (byte === 10) lines += 1;
      setRows(Math.max(0, lines));
    }
  }

  return { isRunning, rows, problem, start };
}

async function messageOf(answer: Response): Promise<string> {
  const body: unknown = await answer.json().catch(() => null);
  const error = typeof body === "object" && body !== null && "error" in body ? (body.error as { message?: unknown }) : undefined;
  return typeof error?.message === "string" ? error.message : `The server answered ${answer.status}.`;
}

function save(blob: Blob): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = `nullspend-calls-${new Date().toISOString().slice(0, 10)}.csv`;
  link.click();
  URL.revokeObjectURL(url);
}
