/** Answering page requests: maps what devices ask for, group by group ("Page Request Group"). */
import type { Software } from '../../engine/index.ts'
import { PAGE_RESPONSE } from '../../vtd/formats/index.ts'
import type { PageRequestHandler } from './domain.ts'
import type { PageGroupResponse } from './invalidation.ts'
import type { PageRequest } from './page-request-queue.ts'
import type { RemappingUnitDriver } from './remapping-unit-driver.ts'

/**
 * Takes every request out of a unit's queue and answers the groups that are complete. Returns the number of answers.
 * A group is a success if its requester's handler mapped every page of it.
 */
export function* answerPageRequests(
  unit: RemappingUnitDriver,
  handlerOf: (rid: number) => PageRequestHandler | undefined,
): Software<number> {
  const requests = unit.pageRequests?.take() ?? []
  const failed = new Set<string>()
  const responses: PageGroupResponse[] = []
  for (const request of requests) {
    const { rid, pasid, group, last, read, write, page } = request
    // "Stop Marker": the device has stopped using a PASID; nobody waits for an answer.
    if (last && !read && !write) continue
    const key = groupOf(request)
    const handler = handlerOf(rid)
    if (handler === undefined || !(yield* handler(page, { read, write }))) failed.add(key)
    if (!last) continue
    responses.push({
      rid,
      pasid,
      group,
      code: failed.has(key) ? PAGE_RESPONSE.invalidRequest : PAGE_RESPONSE.success,
    })
    failed.delete(key)
  }
  if (responses.length > 0) yield* unit.respond(responses)
  return responses.length
}

const groupOf = ({ rid, pasid, group }: PageRequest): string => `${rid}/${pasid}/${group}`
