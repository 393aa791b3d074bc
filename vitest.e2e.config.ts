import { defineConfig } from 'vitest/config'

/** Tests of the console in a real browser: `npm run e2e`. */
export default defineConfig({
  test: { include: ['e2e/**/*.test.ts'], testTimeout: 60_000, hookTimeout: 60_000, fileParallelism: false },
})
