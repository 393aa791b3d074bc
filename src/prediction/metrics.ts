/** Every metric of the vocabulary: the mechanism that predicts it, or why there is none. */
import type { Costs } from '../timing/index.ts'
import {
  baselineFractionHigh,
  baselineFractionLow,
  exitlessFractionHigh,
  exitlessFractionLow,
  greatestThroughputLoss,
  loopbackThroughput,
  speedupHigh,
  speedupLow,
  superpageThroughputLoss,
  throughputLoss,
} from './mechanisms/comparisons.ts'
import {
  invalidationTime,
  MAPPING_COMPONENTS,
  mappingComponent,
  mappingRate,
  pageTableMapTime,
  pageTableUnmapTime,
  unmapListTime,
} from './mechanisms/mapping.ts'
import {
  freeWithPinningOnDemand,
  freeWithStaticPinning,
  pageFaultService,
  pinnedMemory,
} from './mechanisms/memory.ts'
import {
  halfRoundTrip,
  halfRoundTrip99,
  halfRoundTrip999,
  pingMilliseconds,
  systemCallsPerMessage,
} from './mechanisms/network/latency.ts'
import {
  additionalProcessorShare,
  exitsPerMegabyte,
  exitsPerSecond,
  fractionOfLineRate,
  hostProcessorShare,
  injectionsPerSecond,
  processorShare,
  registerExitsPerSecond,
  throughput,
} from './mechanisms/network/throughput.ts'
import {
  exitMultiplication,
  exitRoundTripCost,
  nativeWalk,
  nestedWalk,
  operationCost,
} from './mechanisms/operations.ts'
import {
  baseTransferTime,
  iotlbMisses,
  tableReads,
  tableReadTime,
  upperMisses,
} from './mechanisms/remapping.ts'
import { addedTail, readLatency, readLatency99, readLatency999, requestRate } from './mechanisms/storage.ts'
import { linkBandwidth, transferBandwidth, transferLatency } from './mechanisms/transfers.ts'
import { notModelled, type Prediction } from './prediction.ts'
import type { Scenario } from './scenario.ts'

export type Mechanism = (scenario: Scenario, costs: Costs) => Prediction

const refused =
  (reason: string): Mechanism =>
  () =>
    notModelled(reason)

/** The same name stands for requests to a disk and for messages. */
const ofStorage =
  (disk: Mechanism, message: Mechanism): Mechanism =>
  (scenario, costs) =>
    (scenario.storage ? disk : message)(scenario, costs)

const WORKLOAD_UNKNOWN =
  'the gain depends on how often the workload changes its page tables, which no record says'

export const METRICS: Readonly<Record<string, Mechanism>> = {
  // Transfers of devices.
  dma_bandwidth: transferBandwidth,
  dma_latency_median: transferLatency,
  dma_read_latency_median: transferLatency,
  effective_bandwidth_model: linkBandwidth,
  // Operations and exits.
  operation_cost: operationCost,
  vmexit_round_trip: exitRoundTripCost,
  exit_multiplication: exitMultiplication,
  native_walk_memory_refs_worst: nativeWalk,
  two_dimensional_walk_memory_refs_worst: nestedWalk,
  ept_max_gain_microbenchmark: refused(WORKLOAD_UNKNOWN),
  ept_max_gain_mmu_intensive: refused(WORKLOAD_UNKNOWN),
  // Mapping.
  ...Object.fromEntries(Object.keys(MAPPING_COMPONENTS).map(name => [name, mappingComponent])),
  map_unmap_rate_per_cpu: mappingRate,
  invalidation_submit_and_wait_time: invalidationTime,
  page_table_map_time: pageTableMapTime,
  page_table_unmap_time: pageTableUnmapTime,
  iommu_dma_unmap_sg_mean: unmapListTime,
  // Remapping unit.
  iotlb_misses_per_4KB: iotlbMisses,
  ptcache_L1_misses_per_4KB: upperMisses,
  ptcache_L2_misses_per_4KB: upperMisses,
  ptcache_L3_misses_per_4KB: upperMisses,
  iommu_memory_reads_per_4KB: tableReads,
  l0_base_dma_time_per_4KB_packet: baseTransferTime,
  lm_effective_time_per_iommu_memory_read: tableReadTime,
  // Streams.
  throughput,
  aggregate_throughput: throughput,
  receive_throughput: throughput,
  transmit_throughput: throughput,
  rx_throughput: throughput,
  tx_throughput: throughput,
  rx_throughput_one_1vCPU_VM: throughput,
  tx_throughput_one_1vCPU_VM: throughput,
  guest_tcp_throughput: throughput,
  host_loopback_throughput: loopbackThroughput,
  fraction_of_line_rate: fractionOfLineRate,
  packet_drop_rate: refused(
    'senders back off when packets are lost: how far, the model of the transport does not say',
  ),
  cpu_utilization: processorShare,
  host_cpu_utilization: hostProcessorShare,
  additional_cpu_per_vm: additionalProcessorShare,
  exits_per_second: exitsPerSecond,
  vm_exits: exitsPerSecond,
  pio_exits: registerExitsPerSecond,
  injected_interrupts: injectionsPerSecond,
  exits_per_MB: exitsPerMegabyte,
  // Comparisons.
  baseline_fraction_of_bare_metal_high: baselineFractionHigh,
  baseline_fraction_of_bare_metal_low: baselineFractionLow,
  eli_fraction_of_bare_metal_high: exitlessFractionHigh,
  eli_fraction_of_bare_metal_low: exitlessFractionLow,
  speedup_high: speedupHigh,
  speedup_low: speedupLow,
  max_throughput_drop_vs_iommu_off: greatestThroughputLoss,
  throughput_drop_with_hugepage_buffers: superpageThroughputLoss,
  throughput_loss_upper_bound: throughputLoss,
  // Messages.
  latency_p50: ofStorage(readLatency, halfRoundTrip),
  latency_p99: ofStorage(readLatency99, halfRoundTrip99),
  'latency_p99.9': ofStorage(readLatency999, halfRoundTrip999),
  rtt_half_latency_avg: halfRoundTrip,
  ping_flood_rtt_avg: pingMilliseconds,
  vmm_syscalls_per_message: systemCallsPerMessage,
  // Storage.
  sync_4k_read_latency: readLatency,
  added_p99_4k_qd1: addedTail,
  iops: requestRate,
  guest_4k_read_iops: requestRate,
  host_4k_read_iops_lower_bound: requestRate,
  // Memory.
  nic_page_fault_service_time: pageFaultService,
  io_page_fault_service_time_mean: pageFaultService,
  free_memory_static_pinning: freeWithStaticPinning,
  free_memory_coiommu: freeWithPinningOnDemand,
  peak_pinned_memory: pinnedMemory,
}
