"use client";

import { useQuery } from "@tanstack/react-query";
import { useTRPC, type RouterOutputs } from "@/ui/trpc";

export type Budget = RouterOutputs["budgets"]["list"]["data"][number];

const INTERVAL_WORDS: Readonly<Record<Budget["resetInterval"], string>> = {
  none: "in all",
  daily: "a day",
  weekly: "a week",
  monthly: "a month",
  yearly: "a year",
};
export const intervalWords = (interval: Budget["resetInterval"]): string => INTERVAL_WORDS[interval];

/** Names for what budgets limit; ids until they are known. */
export function useEntityNames(): (entity: Pick<Budget, "entityType" | "entityId">) => string {
  const trpc = useTRPC();
  const keys = useQuery(trpc.keys.list.queryOptions({ limit: 100 }));
  const members = useQuery(trpc.members.list.queryOptions());
  return ({ entityType, entityId }) => {
    switch (entityType) {
      case "org":
        return "The whole organisation";
      case "api_key":
        return `Key “${keys.data?.data.find(({ id }) => id === entityId)?.name ?? entityId}”`;
      case "user": {
        const member = members.data?.members.find(({ userId }) => userId === entityId);
        return `Keys of ${member?.name ?? member?.email ?? entityId}`;
      }
      case "tag":
        return `Tag ${entityId}`;
      case "customer":
        return `Customer ${entityId}`;
    }
  };
}

/** Models and providers it is narrowed to; empty: none. */
export const filterWords = ({ models, providers }: Pick<Budget, "models" | "providers">): string => [...models, ...providers].join(", ");
