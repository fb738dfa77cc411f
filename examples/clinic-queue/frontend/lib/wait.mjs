/** How many patients are before `mine` when `called` was called last. */
export function ahead(mine, called) {
  return Math.max(mine - called - 1, 0);
}
