"use client";

import { useQuery } from "@tanstack/react-query";
import { formatCount } from "@/ui/format/count";
import { Status } from "@/ui/kit/badge";
import { CopyId } from "@/ui/kit/copy-id";
import { Drawer } from "@/ui/kit/drawer";
import { ErrorState } from "@/ui/kit/empty-state";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { KeyValueList } from "@/ui/kit/page";
import { SkeletonRows } from "@/ui/kit/skeleton";
import { Duration, Time } from "@/ui/kit/time";
import { useOrgPath } from "@/ui/shell/shell-context";
import { errorOf, useTRPC, type RouterOutputs } from "@/ui/trpc";

type Call = RouterOutputs["events"]["get"];

const BASIS_WORDS: Readonly<Record<Call["costBasis"], string>> = {
  reported: "from the usage the provider reported",
  counted: "from all the output there was, counted by us",
  bounded: "an upper bound: part of the outcome is unknown",
  unpriced: "there is no price for this model",
};

/** A call with its receipt, what was checked, timings and ids. */
export function CallDrawer({ callId, onClose }: { callId: string | null; onClose: () => void }) {
  const trpc = useTRPC();
  const call = useQuery(trpc.events.get.queryOptions({ id: callId ?? "" }, { enabled: callId !== null }));
  return (
    <Drawer
      open={callId !== null}
      onOpenChange={(open) => !open && onClose()}
      title={call.data === undefined ? "Call" : (call.data.toolName ?? call.data.model)}
      size="large"
      modal={false}
    >
      {call.isError ? (
        <ErrorState
          title="The call could not be loaded"
          referenceId={errorOf(call.error).reference ?? undefined}
          onRetry={() => void call.refetch()}
        >
          {errorOf(call.error).message}
        </ErrorState>
      ) : call.data === undefined ? (
        <SkeletonRows rows={8} label="Loading the call" />
      ) : (
        <CallDetails call={call.data} />
      )}
    </Drawer>
  );
}

export function CallDetails({ call }: { call: Call }) {
  const path = useOrgPath();
  return (
    <div className="flex flex-col gap-6">
      <KeyValueList
        items={[
          { key: "Status", value: <Status value={call.status} /> },
          { key: "Why denied", value: call.denialCode ?? "", hidden: call.denialCode === null },
          { key: "Time", value: <Time value={call.createdAt} style="datetime-seconds" /> },
          { key: "Endpoint", value: call.endpoint ?? "", hidden: call.endpoint === null },
          {
            key: "Model asked for",
            value: call.requestedModel ?? "",
            hidden: call.requestedModel === null || call.requestedModel === call.model,
          },
          { key: "Service tier", value: call.serviceTier ?? "", hidden: call.serviceTier === null },
          { key: "HTTP status", value: call.httpStatus ?? "", hidden: call.httpStatus === null },
          { key: "Why it stopped", value: call.stopReason ?? "", hidden: call.stopReason === null },
        ]}
      />
      <Receipt call={call} />
      <section>
        <h3 className="mb-1 text-small font-semibold">Tokens</h3>
        <KeyValueList
          items={[
            { key: "Input, cache included", value: formatCount(call.inputTokens) },
            { key: "From the cache", value: formatCount(call.cachedInputTokens), hidden: call.cachedInputTokens === null },
            { key: "Written to the cache", value: formatCount(call.cacheWriteTokens), hidden: call.cacheWriteTokens === null },
            { key: "Output", value: formatCount(call.outputTokens) },
            { key: "Of it reasoning", value: formatCount(call.reasoningTokens), hidden: call.reasoningTokens === null },
          ]}
        />
      </section>
      <section>
        <h3 className="mb-1 text-small font-semibold">Time</h3>
        <KeyValueList
          items={[
            { key: "In all", value: <Duration ms={call.durationMs} /> },
            { key: "To the first byte", value: <Duration ms={call.timeToFirstByteMs} />, hidden: call.timeToFirstByteMs === null },
            { key: "At the provider", value: <Duration ms={call.upstreamDurationMs} />, hidden: call.upstreamDurationMs === null },
            { key: "Ours", value: <Duration ms={call.overheadMs} />, hidden: call.overheadMs === null },
          ]}
        />
      </section>
      <section>
        <h3 className="mb-1 text-small font-semibold">Who and what for</h3>
        <KeyValueList
          items={[
            { key: "Key", value: call.keyName ?? "", hidden: call.keyName === null },
            { key: "Customer", value: call.customerId ?? "", hidden: call.customerId === null },
            ...Object.entries(call.tags).map(([name, value]) => ({ key: name, value })),
            {
              key: "Session",
              value: <Link href={path(`sessions/${encodeURIComponent(call.sessionId ?? "")}`)}>{call.sessionId}</Link>,
              hidden: call.sessionId === null,
            },
            {
              key: "Trace",
              value: <Link href={path(`traces/${call.traceId ?? ""}`)}>{call.traceId}</Link>,
              hidden: call.traceId === null,
            },
            { key: "Id", value: <CopyId id={call.id} short /> },
            { key: "Provider’s id", value: <CopyId id={call.requestId} short /> },
          ]}
        />
      </section>
    </div>
  );
}

function Receipt({ call }: { call: Call }) {
  return (
    <section>
      <h3 className="mb-1 text-small font-semibold">Receipt</h3>
      {call.lines !== null && call.lines.length > 0 && (
        <div className="overflow-x-auto" tabIndex={0} role="region" aria-label="Lines of the receipt">
          <table className="w-full text-small tabular-nums">
            <thead>
              <tr className="text-left text-ink-muted">
                <th className="py-1 font-normal">Unit</th>
                <th className="py-1 text-right font-normal">Quantity</th>
                <th className="py-1 pl-3 text-right font-normal">Price of one</th>
                <th className="py-1 pl-3 text-right font-normal">Amount</th>
              </tr>
            </thead>
            <tbody className="divide-y divide-line">
              {call.lines.map(({ unit, model, quantity, unitPrice, amount }) => (
                <tr key={`${unit} ${model ?? ""}`}>
                  <td className="py-1">
                    {unit}
                    {model === undefined ? "" : ` (${model})`}
                  </td>
                  <td className="py-1 text-right">{formatCount(quantity)}</td>
                  <td className="py-1 pl-3 text-right">${unitPrice}</td>
                  <td className="py-1 pl-3 text-right">${amount}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <KeyValueList
        items={[
          { key: "Cost", value: call.costUsd === null ? "no price" : <span className="font-semibold">${call.costUsd}</span> },
          { key: "How it is known", value: BASIS_WORDS[call.costBasis] },
          {
            key: "Charged to budgets",
            value: <Money microdollars={call.chargedMicrodollars} />,
            hidden: call.chargedMicrodollars === call.costMicrodollars,
          },
          {
            key: "Most it could have cost",
            value: <Money microdollars={call.estimatedCostMicrodollars} />,
            hidden: call.estimatedCostMicrodollars === null,
          },
          { key: "Price book", value: call.priceVersion ?? "", hidden: call.priceVersion === null },
        ]}
      />
    </section>
  );
}
