"use client";

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { CircleCheck, LoaderCircle } from "lucide-react";
import { useRouter } from "next/navigation";
import { useEffect, useState, type ReactNode } from "react";
import { CodeBlock } from "@/ui/components/code-block";
import { SecretText } from "@/ui/components/secret-text";
import { saveAsFile } from "@/ui/format/csv";
import { envFileOf } from "@/ui/keys/key-secret";
import { Button, ButtonLink } from "@/ui/kit/button";
import { cn } from "@/ui/kit/cn";
import { Field, FormError } from "@/ui/kit/field";
import { Input } from "@/ui/kit/input";
import { Link } from "@/ui/kit/link";
import { Money } from "@/ui/kit/money";
import { Card, Notice, PageHeader } from "@/ui/kit/page";
import { Select } from "@/ui/kit/select";
import { clientSnippets } from "@/ui/landing/snippets";
import { useOrigin } from "@/ui/lib/browser";
import { useSubmit } from "@/ui/lib/use-submit";
import { useHasRole, useOrgPath } from "@/ui/shell/shell-context";
import { useTRPC, type RouterOutputs } from "@/ui/trpc";
import { withKey } from "./with-key";

/** Green within a second of the call. */
const LOOK_MS = 500;

/** Key, snippet, first request: on one page, in that order. */
export function GetStartedPage() {
  const [rawKey, setRawKey] = useState<string>();
  return (
    <>
      <PageHeader title="Get started" description="A key, two changes in your client, and the first request. It takes a minute." />
      <ol className="flex flex-col gap-4">
        <KeyStep rawKey={rawKey} onKey={setRawKey} />
        <SnippetStep rawKey={rawKey} />
        <FirstRequestStep />
        <NextStep />
      </ol>
    </>
  );
}

function Step({ number, title, done, children }: { number: number; title: string; done: boolean; children: ReactNode }) {
  return (
    <li>
      <Card
        title={
          <span className="flex items-center gap-2.5 text-body">
            <span
              aria-hidden
              className={cn(
                "flex size-6 shrink-0 items-center justify-center rounded-full text-micro font-semibold",
                done ? "bg-positive-soft text-positive" : "bg-line text-ink-muted",
              )}
            >
              {done ? <CircleCheck className="size-4" /> : number}
            </span>
            {title}
            {done && <span className="sr-only">, done</span>}
          </span>
        }
      >
        {children}
      </Card>
    </li>
  );
}

function KeyStep({ rawKey, onKey }: { rawKey: string | undefined; onKey: (rawKey: string) => void }) {
  const trpc = useTRPC();
  const queryClient = useQueryClient();
  const mayCreate = useHasRole("member");
  const origin = useOrigin("");
  const [name, setName] = useState("my first agent");
  const create = useMutation(trpc.keys.create.mutationOptions());

  const { onSubmit, working, problem } = useSubmit(async () => {
    const key = await create.mutateAsync({ name: name.trim() });
    onKey(key.rawKey);
    await queryClient.invalidateQueries(trpc.keys.pathFilter());
  });

  return (
    <Step number={1} title="Make a key" done={rawKey !== undefined}>
      {rawKey === undefined ? (
        mayCreate ? (
          <form className="flex max-w-md flex-col gap-3" onSubmit={onSubmit}>
            <Field label="Name" hint="What will use it.">
              <Input value={name} onValueChange={setName} maxLength={50} autoComplete="off" />
            </Field>
            <FormError>{problem}</FormError>
            <div>
              <Button type="submit" variant="primary" loading={working} disabled={name.trim() === ""}>
                Make the key
              </Button>
            </div>
          </form>
        ) : (
          <p className="text-small text-ink-muted">Your role only reads. Ask an admin for a key.</p>
        )
      ) : (
        <div className="flex flex-col gap-3">
          <SecretText text={rawKey} what="the key" testId="raw-key" />
          <div className="flex flex-wrap items-center gap-3">
            <Button onClick={() => saveAsFile({ name: "nullspend.env", text: envFileOf({ rawKey, origin }), type: "text/plain" })}>
              Download .env
            </Button>
            <p className="text-small text-ink-muted">Shown this once: only a hash of it is stored.</p>
          </div>
        </div>
      )}
    </Step>
  );
}

function SnippetStep({ rawKey }: { rawKey: string | undefined }) {
  const origin = useOrigin("");
  const snippets = clientSnippets(origin);
  const [id, setId] = useState(snippets[0]!.id);
  const snippet = snippets.find((each) => each.id === id) ?? snippets[0]!;
  return (
    <Step number={2} title="Change two things in your client" done={false}>
      <div className="flex flex-col gap-4">
        <Field label="Client" className="max-w-xs">
          <Select value={id} onValueChange={setId} options={snippets.map(({ id: value, label }) => ({ value, label }))} />
        </Field>
        <CodeBlock
          code={rawKey === undefined ? snippet.code : withKey(snippet.code, rawKey)}
          language={snippet.language}
          title={snippet.setup}
          what={`the ${snippet.label} snippet`}
        />
        <p className="text-small text-ink-muted">{snippet.note}</p>
      </div>
    </Step>
  );
}

type FirstCall = RouterOutputs["events"]["list"]["data"][number];

function FirstRequestStep() {
  const trpc = useTRPC();
  const router = useRouter();
  const path = useOrgPath();
  const calls = useQuery(
    trpc.events.list.queryOptions(
      { limit: 1 },
      { refetchInterval: ({ state }) => (state.data?.data.some(isGood) === true ? false : LOOK_MS) },
    ),
  );
  const call = calls.data?.data[0];
  const good = call !== undefined && isGood(call);
  useEffect(() => {
    // The checklist of the shell was loaded with the page.
    if (good) router.refresh();
  }, [good, router]);
  return (
    <Step number={3} title="Send a request" done={good}>
      <div role="status">
        {call === undefined ? (
          <p className="flex items-center gap-2 text-small text-ink-muted">
            <LoaderCircle aria-hidden className="size-4 motion-safe:animate-spin" />
            Waiting for your first request…
          </p>
        ) : good ? (
          <Notice
            tone="positive"
            title="First request received"
            actions={<Link href={`${path("activity")}?call=${call.id}`}>See its receipt</Link>}
          >
            {call.model} answered. It cost <Money microdollars={call.costMicrodollars} />.
          </Notice>
        ) : (
          <Notice
            tone="warning"
            title="A request came, and did not work"
            actions={<Link href={`${path("activity")}?call=${call.id}`}>See the call</Link>}
          >
            {diagnosis(call)}
          </Notice>
        )}
      </div>
    </Step>
  );
}

const isGood = ({ status }: FirstCall): boolean => status === "ok";

/** What is wrong, and what to do about it. */
function diagnosis({ status, denialCode, httpStatus, provider, endpoint }: FirstCall): string {
  if (status === "denied") {
    switch (denialCode) {
      case "not_found":
        return "The path is none of the provider’s. OpenAI’s base URL ends in /v1, Anthropic’s does not.";
      case "unsupported_media_type":
      case "bad_request":
        return "The body could not be read as the provider’s API wants it.";
      case "mandate_violation":
        return "The key may not make this call: look at its scopes and restrictions.";
      case "budget_exceeded":
        return "A budget stopped it before it was sent, as it should.";
      default:
        return `It was refused before it was sent: ${denialCode ?? "unknown"}.`;
    }
  }
  if (httpStatus === 401) return `${provider} did not accept its own key. It belongs where it always was; only X-NullSpend-Key is new.`;
  if (httpStatus === 404) return `${provider} knows no such model or path (${endpoint ?? ""}).`;
  if (httpStatus === 429) return `${provider} itself is limiting this account.`;
  return `${provider} answered ${httpStatus ?? "with an error"}.`;
}

function NextStep() {
  const path = useOrgPath();
  const admin = useHasRole("admin");
  return (
    <Step number={4} title="Set a limit, and bring the others" done={false}>
      <div className="flex flex-wrap gap-2">
        {admin && <ButtonLink href={`${path("budgets")}?new=true`}>Set a budget</ButtonLink>}
        {admin && <ButtonLink href={`${path("members")}?invite=true`}>Invite people</ButtonLink>}
        <ButtonLink href={path("overview")} variant="primary">
          Watch it live
        </ButtonLink>
      </div>
    </Step>
  );
}
