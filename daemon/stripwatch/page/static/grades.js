/** Grades, best first. */

/** 0: the best grade, 2: the worst, 1: any between. */
export function rankOf(grade, grades) {
  const place = grades.indexOf(grade);
  if (place <= 0) return 0;
  return place === grades.length - 1 ? 2 : 1;
}
