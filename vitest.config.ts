import { availableParallelism } from 'node:os'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/seed.ts'],
    // A slow shared runner must not turn a passing test into a failing one: timings never decide a test.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // One more than there are processors: some files spend their time waiting for servers and workers that they started.
    maxWorkers: availableParallelism() + 1,
    // Below the faces there is no state outside of objects, so files may share the modules that they load.
    isolate: false,
  },
})
