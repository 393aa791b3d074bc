/** A platform whose virtual machines have remapping units over assigned functions, for one program after another. */
import { assert } from '../../core/index.ts'
import { type Software, within } from '../../engine/index.ts'
import { parseTopology } from '../../platform/index.ts'
import { SimulatedPlatform } from '../../system/index.ts'

/** Functions that a program has at most. */
const FUNCTIONS = 12
const MODEL = 'intel-82574l'

/** @param largePages CAP.FS1GP, which guests' tables are walked by. */
const topologyWith = (largePages: boolean) =>
  parseTopology({
    name: 'laboratory',
    memory: [{ sizeMiB: 8192 }],
    iommu: {
      kind: 'intel-vtd',
      units: [
        {
          id: 'dmar0',
          includeAll: true,
          capabilities: {
            ...{ SMTS: 1, SSTS: 1, FSTS: 1, NEST: 1, SMPWCS: 1, NFR: 15 },
            FS1GP: largePages ? 1 : 0,
          },
        },
      ],
    },
    hostBridges: [
      {
        devices: [
          { at: '00.0', model: 'host-bridge' },
          ...Array.from({ length: FUNCTIONS }, (_, i) => ({
            at: `${(i + 1).toString(16).padStart(2, '0')}.0`,
            model: 'root-port',
            devices: [{ at: '00.0', model: MODEL }],
          })),
        ],
      },
    ],
    host: { commandLine: 'intel_iommu=on,sm_on', kernel: '7.2' },
  })

export class Laboratory {
  readonly platform: SimulatedPlatform
  /** Addresses of functions to assign. */
  readonly functions: readonly string[]

  constructor(largePages: boolean) {
    this.platform = toEnd(
      SimulatedPlatform.create(topologyWith(largePages), { id: 'laboratory', name: 'laboratory' }),
    )
    this.functions = this.platform.host
      .functions()
      .filter(({ kind, bars }) => kind !== 'bridge' && bars.length > 0)
      .map(({ address }) => address)
  }

  run<Result>(work: Software<Result>): Result {
    return toEnd(within(this.platform.engine, work))
  }
}

function toEnd<Result>(software: Software<Result>): Result {
  for (;;) {
    const step = software.next()
    if (step.done) return step.value
    assert(step.value === undefined || step.value(), 'software that waits is within an engine')
  }
}
