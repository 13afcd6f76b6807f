/**
 * Named places where a test lets the process die as if it were killed there: `NULLSPEND_FAILPOINT=<name>[:<n-th time>]`. In production
 * only together with `NULLSPEND_TEST_ALLOWS_FAILPOINTS=1`, which tests of the built product set and `npm start` takes away.
 */
export type Failpoint = (name: string) => void;

const isAllowed = process.env.NODE_ENV !== "production" || process.env.NULLSPEND_TEST_ALLOWS_FAILPOINTS === "1";
const armed = isAllowed ? process.env.NULLSPEND_FAILPOINT : undefined;

/** Does nothing unless a test armed this very place. */
export const failpoint: Failpoint = armed === undefined ? () => {} : createFailpoint(armed);

/** The same in the next turn of the event loop, when what was written in this one is on its way. */
export const failpointNextTurn: Failpoint = armed === undefined ? () => {} : (name) => void setImmediate(failpoint, name);

function createFailpoint(text: string): Failpoint {
  const [armedName, times] = text.split(":");
  let left = times === undefined ? 1 : Number(times);
  return (name) => {
    if (name !== armedName || --left > 0) return;
    process.kill(process.pid, "SIGKILL");
  };
}
