import type { ReactNode } from "react";
import { CodeBlock } from "@/ui/components/code-block";
import { SiteFooter, SiteHeader, SkipLink } from "@/ui/components/site-frame";
import { InstanceStatus } from "./instance-status";
import { ClientSetup, CostLookup, TwoChanges } from "./quickstart";
import { Receipt } from "./receipt";
import { INIT_COMMAND, INIT_ENVIRONMENT } from "./snippets";

const SECTIONS = [
  { href: "#connect", label: "Connect" },
  { href: "#key", label: "Key" },
  { href: "#cost", label: "Cost" },
  { href: "#trust", label: "Trust" },
] as const;

export function LandingPage({ originFromRequest }: { originFromRequest: string }) {
  return (
    <>
      <SkipLink />
      <SiteHeader sections={SECTIONS} />
      <main id="content" tabIndex={-1} className="mx-auto w-full max-w-6xl px-5 outline-none sm:px-8">
        <div className="grid items-center gap-10 pt-12 pb-16 sm:pt-20 sm:pb-24 lg:grid-cols-[minmax(0,1fr)_27rem] lg:gap-16">
          <div>
            <h1 className="max-w-[14ch] text-display font-semibold text-balance">A receipt for every model call.</h1>
            <p className="mt-6 max-w-[54ch] text-lead text-pretty text-ink-muted">
              NullSpend stands between your agents and OpenAI or Anthropic. It hands the calls on as they are and records what each one
              cost, to the nanodollar, by key, customer, session and tag.
            </p>
            <div className="mt-8 flex flex-wrap gap-3 print:hidden">
              <a
                href="#connect"
                className="inline-flex h-10 items-center rounded-control bg-ink px-4 text-small font-medium text-ink-inverse transition-opacity hover:opacity-85"
              >
                Connect a client
              </a>
              <a
                href="/openapi.json"
                className="inline-flex h-10 items-center rounded-control border border-line-strong px-4 text-small font-medium transition-colors hover:bg-sunken"
              >
                API reference
              </a>
            </div>
          </div>
          <InstanceStatus originFromRequest={originFromRequest} />
        </div>

        <Section
          id="connect"
          title="Change two settings"
          aside={
            <>
              <TwoChanges />
              <p className="mt-5 text-small text-ink-muted">
                The code reads your NullSpend key from <code className="font-mono text-ink">NULLSPEND_KEY</code>.{" "}
                <a href="#key" className="link text-ink">
                  Get a key
                </a>
              </p>
            </>
          }
        >
          <ClientSetup originFromRequest={originFromRequest} />
        </Section>

        <Section
          id="key"
          title="Get a key"
          aside={
            <p className="text-small text-ink-muted">
              On the machine that runs this instance, in the folder of NullSpend. A key begins with{" "}
              <code className="font-mono text-ink">ns_live_sk_</code> and is shown once; only its hash is kept.
            </p>
          }
        >
          <div className="grid gap-4">
            <CodeBlock code={INIT_COMMAND} language="shell" title="makes a person, an organisation and a key" what="the init command" />
            <CodeBlock
              code={INIT_ENVIRONMENT}
              language="shell"
              title="or without questions, when the instance first starts"
              what="the headless start"
            />
          </div>
        </Section>

        <Section
          id="cost"
          title="See what a call cost"
          aside={
            <p className="text-small text-ink-muted">
              Every answer names its cost event in <code className="font-mono whitespace-nowrap text-ink">X-NullSpend-Request-Id</code>. The
              event has the tokens, the price of each and the sum, and says how it is known.
            </p>
          }
        >
          <div className="grid gap-8">
            <CostLookup originFromRequest={originFromRequest} />
            <div className="grid items-start gap-8 md:grid-cols-[minmax(0,1fr)_23rem] lg:gap-10">
              <CostBases />
              <Receipt />
            </div>
          </div>
        </Section>

        <Section
          id="trust"
          title="What it does to a call"
          aside={<p className="text-small text-ink-muted">It counts what passes. It does not change what your agents say or hear.</p>}
        >
          <dl className="grid gap-x-8 gap-y-7 text-small sm:grid-cols-2">
            <Fact term="The bytes stay the same">
              Your program gets the bytes the provider sent, streams included. One thing is asked for on the way: the usage of a streamed
              OpenAI chat, which is taken out again.{" "}
              <code className="font-mono whitespace-nowrap text-ink">X-NullSpend-Usage: passthrough</code> turns that off.
            </Fact>
            <Fact term="Your provider key passes through">
              It goes on in the header it came in. It is not stored and not logged. Your NullSpend key never goes to the provider.
            </Fact>
            <Fact term="Prompts are not written down">
              Text passes through memory to be counted. No prompt and no completion is written to the database, a file or a log.
            </Fact>
            <Fact term="When in doubt, it refuses">
              Without its database the gateway answers 503 and forwards nothing. A call it refuses sends no byte to the provider.
            </Fact>
          </dl>
        </Section>
      </main>
      <SiteFooter />
    </>
  );
}

const BASES = [
  { basis: "reported", meaning: "from the provider's own usage" },
  { basis: "counted", meaning: "we counted all the output there was" },
  { basis: "bounded", meaning: "an upper bound, part of the outcome is unknown" },
  { basis: "unpriced", meaning: "no price is known; never shown as zero" },
] as const;

function CostBases() {
  return (
    <div>
      <h3 className="text-small font-medium">
        How a cost is known: <code className="font-mono">costBasis</code>
      </h3>
      <dl className="mt-2 text-small">
        {BASES.map(({ basis, meaning }) => (
          <div key={basis} className="grid grid-cols-[6.5rem_minmax(0,1fr)] gap-x-4 border-t border-line py-2">
            <dt className="font-mono">{basis}</dt>
            <dd className="text-ink-muted">{meaning}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

function Fact({ term, children }: { term: string; children: ReactNode }) {
  return (
    <div>
      <dt className="font-medium">{term}</dt>
      <dd className="mt-1 text-pretty text-ink-muted">{children}</dd>
    </div>
  );
}

type SectionProps = { id: string; title: string; aside: ReactNode; children: ReactNode };

/** A ruled entry: what it is about on the left, the thing itself on the right. */
function Section({ id, title, aside, children }: SectionProps) {
  return (
    <section
      id={id}
      aria-labelledby={`${id}-title`}
      className="grid gap-6 border-t border-line py-12 sm:py-16 lg:grid-cols-[15rem_minmax(0,1fr)] lg:gap-12 print:break-inside-avoid"
    >
      <div className="lg:sticky lg:top-20 lg:self-start">
        <h2 id={`${id}-title`} className="text-heading font-semibold">
          {title}
        </h2>
        <div className="mt-4 max-w-[60ch]">{aside}</div>
      </div>
      <div className="min-w-0">{children}</div>
    </section>
  );
}
