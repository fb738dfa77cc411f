/** The trails on offer, shortest first. */
export const trails = [
  { slug: "mill-creek", name: "Mill creek", km: 7 },
  { slug: "ridge-walk", name: "Ridge walk", km: 19 },
];

export function find(slug) {
  return trails.find((trail) => trail.slug === slug);
}
