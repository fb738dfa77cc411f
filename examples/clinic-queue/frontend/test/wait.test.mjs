import assert from "node:assert/strict";
import { test } from "node:test";

import { ahead } from "../lib/wait.mjs";

test("nobody is ahead of the one who is next", () => {
  assert.equal(ahead(3, 2), 0);
  assert.equal(ahead(5, 2), 2);
});
