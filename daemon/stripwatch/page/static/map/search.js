/** Searching in sorted numbers. */

/**
 * The first place in `values[0..size)` whose value is not below `value`.
 * @param {ArrayLike<number>} values ascending
 * @param {number} size how many of them count
 * @param {number} value
 */
export function lowerBound(values, size, value) {
  let low = 0;
  let high = size;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (values[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
