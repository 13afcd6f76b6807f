const LINES = [
  { unit: "Input", quantity: "180", price: "0.25", amount: "0.0000450" },
  { unit: "Cached input", quantity: "1,024", price: "0.025", amount: "0.0000256" },
  { unit: "Output", quantity: "312", price: "2.00", amount: "0.0006240" },
] as const;

/** What a cost event says of a call, drawn as what it is. The numbers are an example and add up. */
export function Receipt() {
  return (
    <figure className="rounded-card border border-line bg-surface px-5 py-4 shadow-card print:shadow-none">
      <figcaption className="flex items-baseline justify-between gap-4 border-b border-dashed border-line-strong pb-3">
        <span className="text-small font-medium">Receipt of one call</span>
        <span className="font-mono text-micro text-ink-muted">Example</span>
      </figcaption>
      <table className="w-full font-mono text-[0.8125rem]">
        <caption className="sr-only">gpt-5-mini through OpenAI: tokens, price per million and amount in dollars</caption>
        <thead>
          <tr className="text-micro text-ink-muted">
            <th scope="col" className="pt-3 pb-1 text-left font-normal">
              gpt-5-mini
            </th>
            <th scope="col" className="pt-3 pb-1 pl-4 text-right font-normal">
              Tokens
            </th>
            <th scope="col" className="pt-3 pb-1 pl-4 text-right font-normal max-[26rem]:hidden">
              $ per M
            </th>
            <th scope="col" className="pt-3 pb-1 pl-4 text-right font-normal">
              Amount
            </th>
          </tr>
        </thead>
        <tbody>
          {LINES.map((line) => (
            <tr key={line.unit}>
              <th scope="row" className="py-0.5 text-left font-normal">
                {line.unit}
              </th>
              <td className="py-0.5 pl-4 text-right">{line.quantity}</td>
              <td className="py-0.5 pl-4 text-right text-ink-muted max-[26rem]:hidden">{line.price}</td>
              <td className="py-0.5 pl-4 text-right">{line.amount}</td>
            </tr>
          ))}
        </tbody>
        <tfoot>
          <tr className="font-semibold">
            <th scope="row" className="pt-2 text-left">
              Cost
            </th>
            <td />
            <td className="max-[26rem]:hidden" />
            {/* The double rule under a total, as bookkeepers draw it. */}
            <td className="pt-2 text-right">
              <span className="border-b-3 border-double border-ink pb-0.5">$0.0006946</span>
            </td>
          </tr>
        </tfoot>
      </table>
      <dl className="mt-5 grid grid-cols-[auto_minmax(0,1fr)] gap-x-4 gap-y-1 border-t border-dashed border-line-strong pt-3 font-mono text-micro">
        <dt className="text-ink-muted">costBasis</dt>
        <dd className="text-right">reported</dd>
        <dt className="text-ink-muted">customerId</dt>
        <dd className="text-right">acme</dd>
        <dt className="text-ink-muted">sessionId</dt>
        <dd className="text-right">nightly-report</dd>
      </dl>
    </figure>
  );
}
