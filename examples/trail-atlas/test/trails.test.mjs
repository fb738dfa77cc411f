import assert from "node:assert/strict";
import { test } from "node:test";

import { find, trails } from "../lib/trails.mjs";

test("every trail is found by its slug", () => {
  for (const trail of trails) assert.equal(find(trail.slug), trail);
});
