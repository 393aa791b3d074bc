/** Prices of the techniques themselves: nanoseconds per operation of a guest's stream, the guest's start and end included. */
import { parseWorkload, streamOf } from '../src/guest/index.ts'
import { TECHNIQUES, unavailable } from '../src/hypervisor/index.ts'
import { shippedCosts } from '../src/operations/index.ts'
import { runStream } from '../src/system/technique-laboratory.ts'
import { type Contestant, measure, report } from './measure.ts'

const workload = parseWorkload({
  name: 'bench',
  description: 'A mixed stream',
  bits: 32,
  rounds: 200,
  round: {
    compute: 50,
    userAccesses: 20,
    systemCalls: 4,
    pageFaults: 1,
    interruptToggles: 4,
    portAccesses: 2,
  },
})
const steps = streamOf(workload)
const intel = shippedCosts('haswell')
const amd = shippedCosts('zen')

const contestants = TECHNIQUES.filter(
  name => unavailable(name, 32, intel) === undefined || unavailable(name, 32, amd) === undefined,
).map(
  (name): Contestant => ({
    name,
    count: steps.length,
    run: () => {
      runStream(name, 32, steps, { taggedTlb: true, umip: false })
    },
  }),
)

report(measure(contestants, 3))
