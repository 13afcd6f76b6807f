/** Named places where a test lets the process die as if it were killed there: `NULLSPEND_FAILPOINT=<name>[:<n-th time>]`. */
export type Failpoint = (name: string) => void;

const armed = process.env.NODE_ENV === "production" ? undefined : process.env.NULLSPEND_FAILPOINT;

/** Does nothing unless a test armed this very place, which it cannot in production. */
export const failpoint: Failpoint = armed === undefined ? () => {} : createFailpoint(armed);

function createFailpoint(text: string): Failpoint {
  const [armedName, times] = text.split(":");
  let left = times === undefined ? 1 : Number(times);
  return (name) => {
    if (name !== armedName || --left > 0) return;
    process.kill(process.pid, "SIGKILL");
  };
}
