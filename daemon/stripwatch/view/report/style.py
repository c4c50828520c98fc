"""The look of a report: on a screen, and on A4 paper."""

CSS = """
@page { size: A4; margin: 14mm 12mm; }
* { box-sizing: border-box; }
body { font: 10pt/1.35 "Helvetica Neue", Arial, "Liberation Sans", sans-serif; color: #1b1f24;
  background: #fff; max-width: 190mm; margin: 8mm auto; padding: 0 4mm;
  print-color-adjust: exact; -webkit-print-color-adjust: exact; }
h1 { font-size: 17pt; margin: 0; }
h2 { font-size: 12pt; margin: 7mm 0 2mm; border-bottom: 0.4mm solid #1b1f24; break-after: avoid; }
header { display: flex; justify-content: space-between; align-items: flex-start; gap: 6mm; }
p { margin: 1mm 0; }
.grade { color: #fff; font-weight: bold; font-size: 13pt; padding: 1.5mm 4mm; border-radius: 1mm;
  white-space: nowrap; }
.small { color: #57606a; font-size: 8.5pt; }
table { border-collapse: collapse; width: 100%; font-size: 9pt; margin: 1mm 0 2mm; }
th { text-align: left; border-bottom: 0.3mm solid #57606a; }
th, td { padding: 0.7mm 2mm 0.7mm 0; vertical-align: top; }
td { border-bottom: 0.1mm solid #d0d7de; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
tr { break-inside: avoid; }
thead { display: table-header-group; }
.chip { color: #fff; padding: 0 1.5mm; border-radius: 0.7mm; white-space: nowrap; }
svg { width: 100%; height: auto; display: block; break-inside: avoid; margin: 0 0 1.5mm; }
.pictures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 3mm; }
figure { margin: 0; break-inside: avoid; }
figure img, figure .none { width: 100%; height: 32mm; object-fit: contain; background: #24292f;
  display: block; color: #d0d7de; text-align: center; font-size: 8.5pt; padding: 0; }
figcaption { font-size: 8pt; }
code { font-size: 8pt; overflow-wrap: anywhere; }
.legend span { display: inline-block; margin-right: 4mm; }
.swatch { display: inline-block; width: 3mm; height: 3mm; margin: 0 1mm -0.4mm 0; }
@media print { body { margin: 0; padding: 0; max-width: none; } }
"""
