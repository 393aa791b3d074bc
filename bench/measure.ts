/** Measuring side by side: interleaved rounds, so that a busy moment of the machine hits every contestant alike. */

export interface Contestant {
  readonly name: string
  /** Does the work `count` times. */
  readonly run: (count: number) => void
  /** Operations per round. */
  readonly count: number
}

/** Nanoseconds. */
type Clock = () => number

const wallClock: Clock = () => Number(process.hrtime.bigint())

/** Counts only while this thread has a processor: for work that waits for nobody, on a machine that others use too. */
export const processorClock: Clock = () => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) * 1000
}

/** Median nanoseconds per operation of each contestant, over `rounds` interleaved rounds after two of warm-up. */
export function measure(
  contestants: readonly Contestant[],
  rounds = 9,
  clock: Clock = wallClock,
): Map<string, number> {
  const times = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (let round = -2; round < rounds; round++) {
    for (const { name, run, count } of contestants) {
      const start = clock()
      run(count)
      const elapsed = (clock() - start) / count
      if (round >= 0) times.get(name)!.push(elapsed)
    }
  }
  return new Map([...times].map(([name, all]) => [name, all.sort((a, b) => a - b)[all.length >>> 1]!]))
}

/** Prints a table: nanoseconds per operation, operations per second, ratio to the first line. */
export function report(results: Map<string, number>): void {
  const [base] = results.values()
  const width = Math.max(...[...results.keys()].map(name => name.length))
  for (const [name, time] of results) {
    const rate = 1e9 / time
    const perSecond =
      rate >= 1e6
        ? `${(rate / 1e6).toFixed(1)} M/s`
        : rate >= 1e3
          ? `${(rate / 1e3).toFixed(1)} k/s`
          : `${rate.toFixed(1)} /s`
    const shown =
      time >= 1e6
        ? `${(time / 1e6).toFixed(2)} ms`
        : time >= 1e4
          ? `${(time / 1e3).toFixed(1)} µs`
          : `${time.toFixed(1)} ns`
    console.log(
      `${name.padEnd(width)}  ${shown.padStart(10)}  ${perSecond.padStart(11)}  × ${(time / base!).toFixed(2)}`,
    )
  }
}
