/**
 * The part of a statement that steps from second to second of those that `points` has from `:fromS` to `:toS`, and looks
 * series up in each: a seek or two a second of the range, however many other series there are. One row steps to the next,
 * so the seconds come in order.
 */
export const secondsWalk = `
  WITH RECURSIVE second (s) AS (
    SELECT min(s) FROM points WHERE s >= :fromS
    UNION ALL
    SELECT (SELECT min(s) FROM points WHERE s > second.s) FROM second WHERE second.s < :toS
  )`
