import { useState, type FormEvent } from "react";
import { errorOf } from "@/ui/trpc";

type Submit = {
  onSubmit: (event: FormEvent) => void;
  working: boolean;
  /** What went wrong the last time, in words. */
  problem: string | undefined;
};

/** What a form does when it is sent: once at a time, with what was thrown in words beside it. */
export function useSubmit(run: () => Promise<void>): Submit {
  const [working, setWorking] = useState(false);
  const [problem, setProblem] = useState<string>();

  async function send(): Promise<void> {
    setWorking(true);
    setProblem(undefined);
    try {
      await run();
    } catch (error) {
      setProblem(errorOf(error).message);
    } finally {
      setWorking(false);
    }
  }

  return {
    onSubmit(event) {
      event.preventDefault();
      void send();
    },
    working,
    problem,
  };
}
