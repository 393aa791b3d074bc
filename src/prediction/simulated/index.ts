/**
 * Records whose value is the outcome of queues and caches: the configuration that stands for them is simulated. What only adds up
 * steps of software is left to the closed forms, with which simulations agree where both can answer.
 */
import { mappingRate } from './mapping-rate.ts'
import {
  fractionOfLineRate,
  greatestThroughputLoss,
  ofStream,
  superpageThroughputLoss,
  throughput,
  throughputLoss,
} from './streams.ts'
import type { Simulated } from './told.ts'
import { bandwidth, latency } from './transfers.ts'

/** By metric; undefined where the closed form is to answer. */
export const SIMULATED: Readonly<Record<string, Simulated>> = {
  dma_bandwidth: bandwidth,
  dma_latency_median: latency,
  dma_read_latency_median: latency,
  map_unmap_rate_per_cpu: mappingRate,
  throughput,
  aggregate_throughput: throughput,
  receive_throughput: throughput,
  transmit_throughput: throughput,
  rx_throughput: throughput,
  tx_throughput: throughput,
  rx_throughput_one_1vCPU_VM: throughput,
  tx_throughput_one_1vCPU_VM: throughput,
  guest_tcp_throughput: throughput,
  fraction_of_line_rate: fractionOfLineRate,
  throughput_loss_upper_bound: throughputLoss,
  max_throughput_drop_vs_iommu_off: greatestThroughputLoss,
  throughput_drop_with_hugepage_buffers: superpageThroughputLoss,
  iotlb_misses_per_4KB: ofStream('iotlbMissesPer4KiB'),
  // Level 3 is what studies call the cache nearest to the leaf.
  ptcache_L3_misses_per_4KB: ofStream('pagingMissesLevel2Per4KiB'),
  ptcache_L2_misses_per_4KB: ofStream('pagingMissesLevel3Per4KiB'),
  ptcache_L1_misses_per_4KB: ofStream('pagingMissesLevel4Per4KiB'),
  iommu_memory_reads_per_4KB: ofStream('tableReadsPer4KiB'),
}
