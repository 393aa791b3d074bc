/** How long the kernel's maps, unmaps and invalidations took, whoever made them. */
import { Histogram } from '../resources/histogram.ts'

export class MappingTimes {
  readonly address = new Histogram()
  readonly map = new Histogram()
  readonly unmap = new Histogram()
  readonly invalidation = new Histogram()

  restart(): void {
    this.address.restart()
    this.map.restart()
    this.unmap.restart()
    this.invalidation.restart()
  }
}
