/**
 * The table of operations: everything a user can do, once. The key is the operation's name in the library, in
 * experiment documents, and as `operationId` in the HTTP contract.
 */
import type { Static } from '@sinclair/typebox'
import { type Software, within } from '../engine/index.ts'
import { archivePlatform, importPlatform } from './archives.ts'
import { traceBlock } from './block-trace.ts'
import { runBlockWorkload } from './block-workload.ts'
import { allocateBuffer, buffers, flushBuffers, freeBuffer } from './buffers.ts'
import { consolidate } from './consolidation.ts'
import type { OperationContext } from './context.ts'
import { device, devices } from './devices.ts'
import { events } from './events.ts'
import { compareExperiments } from './experiment-comparison.ts'
import {
  cancelExperiment,
  createExperiment,
  deleteExperiment,
  experiment,
  experimentCsv,
  experimentEvents,
  experimentReport,
  experimentResult,
  experiments,
} from './experiments.ts'
import { errorLog, route } from './fabric.ts'
import { failOver, protections, protectVm, unprotectVm } from './failover/index.ts'
import { clearFaults, faultPlan, injectedFaults, injectFault, passTime } from './fault-injection.ts'
import { functions, oneFunction, readConfig, resetFunction, setNumVfs } from './functions.ts'
import { groups, oneGroup } from './groups.ts'
import { exportPlatform, importTopology } from './interchange.ts'
import { interruptCounts } from './interrupt-counts.ts'
import { interruptVcpu, localApic, moveVcpu, traceInterrupt, virtualApic } from './interrupts.ts'
import { isolationDiff, isolationReport } from './isolation.ts'
import { repairIsolation } from './isolation-repair.ts'
import { judge } from './judge.ts'
import {
  balanceMemory,
  collapseMemory,
  hostMemory,
  setBalloon,
  setSharing,
  setVmMemory,
  sharePages,
  swapOut,
  useMemory,
  vmMemory,
} from './memory/index.ts'
import {
  cloneVm,
  convert,
  deleteSnapshot,
  exportSnapshot,
  importSnapshot,
  migrateVm,
  pauseVm,
  placeSnapshot,
  planConversion,
  resumeVm,
  rewindVm,
  snapshot,
  snapshots,
  takeSnapshot,
} from './moves/index.ts'
import {
  attachNamespace,
  createNamespace,
  deleteNamespace,
  detachNamespace,
  nvmeNamespaces,
  putNamespaceOnFile,
} from './namespaces.ts'
import {
  addNetworkDevice,
  capturedFrames,
  captureFrames,
  createOutsideSwitch,
  createSwitch,
  deleteOutsideSwitch,
  deleteSwitch,
  mirrorPort,
  networkDevices,
  nic,
  nics,
  offerTraffic,
  oneSwitch,
  openNic,
  outsideSwitch,
  outsideSwitches,
  removeNetworkDevice,
  replayFrames,
  setCable,
  setEswitch,
  setLine,
  setRepresentor,
  setVf,
  switches,
  traceFrame,
} from './network/index.ts'
import { changes, type Operation } from './operation.ts'
import { commands, forkPlatform, rewindPlatform } from './past.ts'
import { createPlatform, deletePlatform, platformState, platforms, power } from './platforms.ts'
import { applyPolicy, comparePolicies, driftPolicy, explainPolicy, planPolicy } from './policies/index.ts'
import { findings, sanitizer } from './sanitizer.ts'
import { hostCpu, runCpu, setVmCpu, vmCpu } from './shares/index.ts'
import { injectError, insertCard, links, pressButton, pullCard, setLink } from './slots.ts'
import { dma, interrupt } from './stimulus.ts'
import { closeDisk, disk, nvmeControllers, openDisk, readBlocks, writeBlocks } from './storage.ts'
import { compareTechniques, workloads } from './techniques.ts'
import {
  createTopology,
  deleteTopology,
  replaceTopology,
  topologies,
  topology,
  validateTopology,
} from './topologies.ts'
import { caches, tables } from './unit-tables.ts'
import { explain, faults, registers, units } from './units.ts'
import { checkMemory } from './usage.ts'
import { runVcpu, vcpu } from './vcpus.ts'
import { mapViommu, setViommu, unmapViommu, viommu } from './viommu/index.ts'
import {
  containers,
  holdDevice,
  hotResetMembers,
  requestRemoval,
  resetDevice,
  resources,
  setResetMethods,
} from './vm-devices/index.ts'
import { runProcessor, vmcs, writeVmcs } from './vmcs.ts'
import { attach, createVm, deleteVm, detach, readMemory, vm, vms, writeMemory } from './vms.ts'

export const OPERATIONS = {
  topologies,
  createTopology,
  validateTopology,
  topology,
  replaceTopology,
  deleteTopology,
  importTopology,
  devices,
  device,
  platforms,
  createPlatform,
  platformState,
  deletePlatform,
  power,
  exportPlatform,
  archivePlatform,
  importPlatform,
  commands,
  rewindPlatform,
  forkPlatform,
  functions,
  function: oneFunction,
  readConfig,
  setNumVfs,
  resetFunction,
  setResetMethods,
  dma,
  interrupt,
  route,
  errorLog,
  injectError,
  injectFault,
  faultPlan,
  injectedFaults,
  clearFaults,
  passTime,
  interruptCounts,
  links,
  setLink,
  insertCard,
  pullCard,
  pressButton,
  buffers,
  allocateBuffer,
  freeBuffer,
  flushBuffers,
  groups,
  group: oneGroup,
  isolationReport,
  isolationDiff,
  repairIsolation,
  sanitizer,
  findings,
  units,
  registers,
  faults,
  explain,
  caches,
  tables,
  vms,
  createVm,
  vm,
  deleteVm,
  attach,
  detach,
  requestRemoval,
  holdDevice,
  resetDevice,
  hotResetMembers,
  containers,
  resources,
  protectVm,
  unprotectVm,
  protections,
  failOver,
  readMemory,
  writeMemory,
  pauseVm,
  resumeVm,
  snapshots,
  snapshot,
  takeSnapshot,
  deleteSnapshot,
  rewindVm,
  placeSnapshot,
  cloneVm,
  exportSnapshot,
  importSnapshot,
  migrateVm,
  planConversion,
  convert,
  viommu,
  setViommu,
  mapViommu,
  unmapViommu,
  vmMemory,
  setVmMemory,
  setBalloon,
  swapOut,
  collapseMemory,
  useMemory,
  hostMemory,
  setSharing,
  sharePages,
  balanceMemory,
  vmCpu,
  setVmCpu,
  hostCpu,
  runCpu,
  consolidate,
  vcpu,
  runVcpu,
  vmcs,
  writeVmcs,
  runProcessor,
  virtualApic,
  interruptVcpu,
  moveVcpu,
  localApic,
  traceInterrupt,
  nics,
  nic,
  openNic,
  setVf,
  setCable,
  setEswitch,
  setLine,
  offerTraffic,
  captureFrames,
  capturedFrames,
  replayFrames,
  switches,
  createSwitch,
  switch: oneSwitch,
  outsideSwitches,
  outsideSwitch,
  createOutsideSwitch,
  deleteOutsideSwitch,
  mirrorPort,
  setRepresentor,
  deleteSwitch,
  networkDevices,
  addNetworkDevice,
  removeNetworkDevice,
  traceFrame,
  openDisk,
  disk,
  closeDisk,
  readBlocks,
  writeBlocks,
  runBlockWorkload,
  nvmeControllers,
  nvmeNamespaces,
  createNamespace,
  deleteNamespace,
  attachNamespace,
  detachNamespace,
  putNamespaceOnFile,
  traceBlock,
  workloads,
  compareTechniques,
  experiments,
  createExperiment,
  experiment,
  experimentEvents,
  experimentResult,
  experimentReport,
  experimentCsv,
  compareExperiments,
  cancelExperiment,
  deleteExperiment,
  planPolicy,
  applyPolicy,
  explainPolicy,
  comparePolicies,
  driftPolicy,
  events,
} as const

export type OperationId = keyof typeof OPERATIONS
export type InputOf<Id extends OperationId> = Static<(typeof OPERATIONS)[Id]['input']>
export type OutputOf<Id extends OperationId> = Static<(typeof OPERATIONS)[Id]['output']>

/** Names and rows, in the order of the table. */
export const operationEntries = (): readonly (readonly [OperationId, Operation])[] =>
  Object.entries(OPERATIONS) as unknown as readonly (readonly [OperationId, Operation])[]

export const isOperationId = (text: string): text is OperationId => Object.hasOwn(OPERATIONS, text)

/** A step of an experiment is about its platform unless it names another; a few operations are about none. */
export function inputOfStep(
  id: OperationId,
  { platform, ...rest }: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  return 'platform' in OPERATIONS[id].input.properties ? { platform, ...rest } : rest
}

/** Judges the input, then runs an operation. Pauses come out; waits are served inside. */
export function* execute<Id extends OperationId>(
  context: OperationContext,
  id: Id,
  input: InputOf<Id>,
): Software<OutputOf<Id>> {
  const row = OPERATIONS[id] as unknown as Operation
  judge(row.input, input)
  if (changes(row) && row.rest.method !== 'DELETE' && row.frees !== true) checkMemory(context)
  const output = (yield* row.run(context, input as never)) as OutputOf<Id>
  yield* tellFaults(context, id, input)
  return output
}

/** Faults may wait for operations on their platform. */
function* tellFaults(context: OperationContext, id: OperationId, input: object): Software {
  const { platform } = input as { platform?: string }
  const running = platform === undefined ? undefined : context.platforms.find(platform)?.running
  if (running === undefined) return
  yield* within(running.engine, running.happened(id, { ...input }))
}
