/** Answers about policies for people: tables of machines, candidates and systems. */
import type { Static } from '@sinclair/typebox'
import type { CandidateView, OutcomeView, PlacedView, PlanView } from './schemas.ts'

type Row = readonly string[]

/** Columns as wide as their widest cell. */
export function columns(head: Row, rows: readonly Row[]): string[] {
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map(row => row[i]!.length)))
  return [head, ...rows].map(row =>
    row
      .map((cell, i) => cell.padEnd(widths[i]!))
      .join('  ')
      .trimEnd(),
  )
}

export function tellPlaced(placed: readonly Static<typeof PlacedView>[]): string[] {
  const rows = placed.flatMap(({ vm, host, grants }) =>
    grants.map(({ resource, devices }): Row => [vm, host, resource, devices.join(' ') || '-']),
  )
  return [
    ...(rows.length > 0 ? columns(['vm', 'host', 'resource', 'functions'], rows) : []),
    ...placed.flatMap(({ vm, kernelRefuses }) =>
      kernelRefuses.map(({ text }) => `${vm}: granted, but the kernel refuses: ${text}`),
    ),
    ...placed.flatMap(({ vm, disrupted }) => disrupted.map(({ text }) => `${vm}: disrupts: ${text}`)),
  ]
}

export function tellPlan({ placed, refused }: Static<typeof PlanView>): string {
  return [
    ...tellPlaced(placed),
    ...refused.flatMap(({ vm, hosts }) => [
      `${vm}: refused by every host`,
      ...hosts.flatMap(({ host, refusal, nearestMiss }) => [
        `  ${host}: ${refusal.errorClass}: ${refusal.text}`,
        ...(nearestMiss?.refusal === undefined ? [] : [`    nearest: ${nearestMiss.refusal.text}`]),
      ]),
    ]),
    `${placed.length} placed, ${refused.length} refused`,
  ].join('\n')
}

export function tellCandidates(candidates: readonly Static<typeof CandidateView>[]): string[] {
  return columns(
    ['function', 'first failing rule'],
    candidates.map(
      ({ device, refusal }): Row => [
        device,
        refusal === undefined ? 'none: it would do' : `${refusal.errorClass}: ${refusal.text}`,
      ],
    ),
  )
}

export const tellOutcomes = (outcomes: readonly Static<typeof OutcomeView>[]): string =>
  columns(
    ['system', 'decision', 'functions or reason', 'kernel'],
    outcomes.map(
      ({ system, granted, devices, refusal, kernelRefuses }): Row => [
        system,
        granted ? 'granted' : 'refused',
        granted ? devices.join(' ') || '-' : `${refusal!.errorClass}: ${refusal!.text}`,
        kernelRefuses[0]?.text ?? (granted ? 'agrees' : '-'),
      ],
    ),
  ).join('\n')
