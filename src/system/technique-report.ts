/** A comparison of techniques in lines for people. */
import type { TechniqueComparison, TechniqueReport } from './technique-comparison.ts'

const MOST_CAUSES = 6

const sum = (counts: Readonly<Record<string, number>> = {}): number =>
  Object.values(counts).reduce((all, count) => all + count, 0)

const COLUMNS = [
  'technique',
  'exits',
  'traps',
  'hypercalls',
  'blocks',
  'walk refs',
  'cycles',
  'range',
  'as bare',
  'self-checks',
] as const

function rowOf(report: TechniqueReport): readonly string[] {
  const { technique, exits, traps, hypercalls, translatedBlocks, walks, selfChecks = [] } = report
  const passed = selfChecks.filter(check => check.passed).length
  const { cycles, low, high } = report.estimate!
  return [
    technique,
    String(sum(exits)),
    String(sum(traps)),
    String(sum(hypercalls)),
    String(translatedBlocks),
    String(walks!.paging + walks!.nested),
    String(cycles),
    `${low} to ${high}`,
    report.equalsBareMetal ? 'yes' : 'no',
    `${passed}/${selfChecks.length}`,
  ]
}

function table(rows: readonly (readonly string[])[]): string[] {
  const widths = COLUMNS.map((_name, i) => Math.max(...rows.map(row => row[i]!.length)))
  return rows.map(row =>
    row
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
}

const listed = (what: string, counts: Readonly<Record<string, number>> = {}): string[] => {
  const entries = Object.entries(counts)
  if (entries.length === 0) return []
  const shown = entries.slice(0, MOST_CAUSES).map(([cause, count]) => `${cause} ${count}`)
  const rest = sum(Object.fromEntries(entries.slice(MOST_CAUSES)))
  return [`${what}: ${shown.join(', ')}${rest > 0 ? `, others ${rest}` : ''}`]
}

function causesOf(report: TechniqueReport): string[] {
  const { technique, exits, traps, hypercalls, callouts, selfChecks = [] } = report
  const failing = selfChecks.filter(check => !check.passed).map(check => check.about)
  const lines = [
    ...listed('exits', exits),
    ...listed('traps', traps),
    ...listed('hypercalls', hypercalls),
    ...listed('callouts', callouts),
    ...(failing.length === 0 ? [] : [`fails its own checks of ${[...new Set(failing)].join(', ')}`]),
  ]
  return lines.length === 0 ? [] : [`${technique}:`, ...lines.map(line => `  ${line}`)]
}

export function tellComparison(comparison: TechniqueComparison): string {
  const { workload, bits, rounds, seed, costs, techniques, multiMode, vtI } = comparison
  const ran = techniques.filter(report => report.unavailable === undefined)
  const missing = techniques.filter(report => report.unavailable !== undefined)
  return [
    `${workload}: a ${bits}-bit guest, ${rounds} rounds, seed ${seed}; cycles by costs/${costs}.json`,
    ...table([COLUMNS, ...ran.map(rowOf)]),
    ...ran.flatMap(causesOf),
    ...missing.map(({ technique, unavailable }) => `${technique}: not available, ${unavailable}`),
    `VT-i (a profile, not run): ${vtI.faults} virtualization faults, ${vtI.accelerated} more without accelerations`,
    `multi-mode: ${multiMode.chosen ?? 'none'}: ${multiMode.why}`,
  ].join('\n')
}
