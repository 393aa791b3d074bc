/** The workload document: which operation stream a guest runs. The same document and seed give the same stream. */
import { z } from 'zod'
import { NorthbridgeError } from '../../core/index.ts'

const MOST_ROUNDS = 10_000
const count = (most: number) => z.int().min(0).max(most)

export const workloadSchema = z
  .strictObject({
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must be lower-case letters, digits and "-"'),
    description: z.string().min(1).max(2000),
    bits: z
      .union([z.literal(32), z.literal(64)])
      .describe('Word size of the guest: 32-bit protected mode, or 64-bit mode'),
    seed: z.int().min(0).max(0xffff_ffff).default(1),
    rounds: z.int().min(1).max(MOST_ROUNDS).describe('How often the round below is run'),
    round: z
      .strictObject({
        compute: count(1000).default(0).describe('Operations in user mode that touch no memory'),
        userAccesses: count(1000).default(0).describe('Loads and stores to mapped pages of the process'),
        systemCalls: count(1000).default(0).describe('INT 80H from user mode, and IRET'),
        fastSystemCalls: count(1000).default(0).describe('SYSENTER and SYSEXIT'),
        pageFaults: count(100).default(0).describe('First touches of pages that the kernel maps on demand'),
        unmaps: count(100).default(0).describe('Pages that the kernel takes away again, with INVLPG'),
        contextSwitches: count(100).default(0).describe('MOV to CR3'),
        interruptToggles: count(1000).default(0).describe('CLI, PUSHF, POPF, STI in kernel mode'),
        taskPriorityWrites: count(1000)
          .default(0)
          .describe('MOV to CR8, or the APIC register in 32-bit mode'),
        portAccesses: count(1000).default(0).describe('IN and OUT'),
        interrupts: count(100).default(0).describe('Device interrupts that arrive'),
        cpuids: count(100).default(0),
        codeWrites: count(100).default(0).describe('Writes of the kernel to its own code'),
      })
      .describe('What happens in one round, kind after kind'),
  })
  .meta({ title: 'Northbridge workload', description: 'An operation stream for comparing techniques' })

export type Workload = z.output<typeof workloadSchema>
export type WorkloadDocument = z.input<typeof workloadSchema>

/** Throws `invalidDocument` with an issue for each broken rule. */
export function parseWorkload(document: unknown): Workload {
  const parsed = workloadSchema.safeParse(document)
  if (parsed.success) return parsed.data
  const issues = parsed.error.issues.map(({ path, message }) => ({ path: `/${path.join('/')}`, message }))
  const [first] = issues
  throw new NorthbridgeError('invalidDocument', `the workload: ${first!.path} ${first!.message}`, { issues })
}

export const workloadJsonSchema = (): unknown => z.toJSONSchema(workloadSchema, { io: 'input' })
