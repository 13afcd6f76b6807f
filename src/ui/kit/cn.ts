import { clsx, type ClassValue } from "clsx";
import { extendTailwindMerge } from "tailwind-merge";

// The theme's own names, so that a size given later wins over an earlier one and is not taken for a colour.
const merge = extendTailwindMerge({
  extend: {
    theme: {
      text: ["micro", "small", "body", "lead", "heading", "display"],
      radius: ["control", "card", "full"],
      shadow: ["card", "popup"],
    },
  },
});

/** Joins class names; of two that set the same property the later wins. */
export function cn(...classes: ClassValue[]): string {
  return merge(clsx(classes));
}
