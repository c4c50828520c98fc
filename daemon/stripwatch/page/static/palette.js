/** The colours of the classes: those of reports and pictures, after Okabe and Ito. */

export const CLASS_COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 190, 140],
  [240, 90, 40],
  [240, 228, 66],
  [204, 121, 167],
  [60, 130, 220],
  [170, 220, 90],
];

/** The map is dark in both themes: these colours need a dark ground to be told apart. */
export const STEEL = [33, 40, 47];
export const BESIDE = [20, 24, 29];
export const HATCH = [150, 160, 172];
export const HATCH_UNDER = [58, 66, 76];

export function classColour(classId) {
  return CLASS_COLOURS[(classId - 1) % CLASS_COLOURS.length];
}

export function css([red, green, blue]) {
  return `rgb(${red} ${green} ${blue})`;
}

/** A roll's marks: white stands out from every class. */
export const MARK = [245, 246, 248];

/** The band of grades: best, between, worst. Blue to vermilion, for colour-blind readers. */
export const ZONE_COLOURS = [
  [86, 180, 233],
  [240, 228, 66],
  [240, 90, 40],
];
