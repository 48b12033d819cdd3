/** How a version behaves. */
export const modes = ["healthy", "fails", "resets", "refuses", "hangs", "unready", "dies"] as const;
export type Mode = (typeof modes)[number];
