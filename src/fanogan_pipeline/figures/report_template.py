"""The report's HTML, for Jinja2 with autoescape. A string, so that no file need be found at run time."""

TEMPLATE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{{ title }}</title>
<style>
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto; padding: 2rem 1.25rem;
  max-width: 62rem; overflow-wrap: anywhere; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; }
h2 { font-size: 1.35rem; margin: 2.5rem 0 .75rem; padding-bottom: .25rem; border-bottom: 2px solid #0072b2; }
h3 { font-size: 1.08rem; margin: 2rem 0 .5rem; }
p { max-width: 46rem; margin: .5rem 0; }
a { color: #00568a; }
nav ul { padding-left: 1.2rem; margin: .5rem 0; }
nav ul ul { columns: 15rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(12.5rem, 1fr)); gap: .75rem;
  margin: 1rem 0; padding: 0; list-style: none; }
.cards li { border: 1px solid #bbb; border-left: 5px solid #0072b2; padding: .6rem .8rem; }
.cards b { display: block; font-size: 1.45rem; line-height: 1.3; }
.cards small { color: #444; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; margin: .75rem 0; }
caption { text-align: left; color: #444; padding-bottom: .3rem; max-width: min(46rem, calc(100vw - 2.5rem)); }
th, td { padding: .3rem .55rem; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top;
  overflow-wrap: break-word; }
thead th { border-bottom: 2px solid #666; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
figcaption { color: #444; font-size: .92rem; }
tr.marked { background: #e3f1fa; font-weight: 600; }
figure { margin: .75rem 0; overflow-x: auto; }
img { max-width: 100%; height: auto; border: 1px solid #ddd; }
.bad { border-left: 4px solid #d55e00; padding-left: .7rem; color: #333; }
details { margin: .75rem 0; }
summary { cursor: pointer; font-weight: 600; }
code { font-size: .88em; }
@media (max-width: 40rem) { img { min-width: 34rem; } }
@media print {
  body { font-size: 10.5pt; max-width: none; padding: 0; }
  nav { display: none; }
  figure, tr, .cards li { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
</style>
</head>
<body>
{% macro table(rows, caption="") %}
<div class="scroll"><table>
{% if caption %}<caption>{{ caption }}</caption>{% endif %}
<thead><tr>{% for cell in rows.head %}\
<th scope="col"{% if rows.numeric[loop.index0] %} class="n"{% endif %}>{{ cell }}</th>{% endfor %}</tr></thead>
<tbody>
{% for row in rows.body %}
<tr{% if rows.marked and rows.marked[loop.index0] %} class="marked"{% endif %}>{% for cell in row %}\
<td{% if rows.numeric[loop.index0] %} class="n"{% endif %}>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}
</tbody></table></div>
{% endmacro %}
<header>
<h1>{{ title }}</h1>
<p>{{ opening }}</p>
</header>
<nav aria-label="Contents"><ul>
<li><a href="#short">In short</a></li>
<li><a href="#data">What was trained on what</a></li>
<li><a href="#score">How to read a score</a></li>
<li><a href="#classes">What was caught, class by class</a></li>
{% for note in notes %}<li><a href="#note-{{ loop.index }}">{{ note.title }}</a></li>
{% endfor %}
<li><a href="#figures">Figures</a><ul>
{% for figure in figures %}<li><a href="#figure-{{ loop.index }}">{{ figure.title }}</a></li>
{% endfor %}
</ul></li>
<li><a href="#settings">Numbers, parameters and digests</a></li>
</ul></nav>
<main>
<section id="short">
<h2>In short</h2>
<ul class="cards">
{% for card in cards %}<li><small>{{ card.name }}</small><b>{{ card.value }}</b><small>{{ card.remark }}</small></li>
{% endfor %}
</ul>
{% for sentence in verdict %}<p>{{ sentence }}</p>
{% endfor %}
</section>
<section id="data">
<h2>What was trained on what</h2>
<p>The networks saw normal images only. Four sets without an image in common served four ends: the training set
taught the networks, and images are levelled by it and compared with it where the parameters ask for that; the selection
set served all other fits and every choice; the calibration set gave the threshold and the p-values and nothing else;
and the test set was only looked at.</p>
{{ table(sets, "Images in each set") }}
</section>
<section id="score">
<h2>How to read a score</h2>
<p>{{ how_z_is_found }} from which the generator G should make it again. Since G can
only make normal images, an anomalous one comes back changed. The score is made of terms that grow the less an image is
like normal ones: the more it differs from its restoration, in pixels or in what a network sees of it, or the farther it
lies from training images. It is the sum of weight · (v − centre) / scale over the terms below, where v is the term's \
{{ "logarithm" if logarithmic else "value" }}. Higher is more anomalous; the scale has no unit and belongs to these
models alone, so scores of two trainings cannot be compared.</p>
{{ table(rule, "Terms of the score") }}
<p>The p-value puts a score into words: a p-value of 0.02 says that about 2 in 100 normal images score as high or
higher. Its smallest possible value is 1/(n + 1) with n calibration images, here {{ smallest_p
}}. Among many images, small p-values of normal ones are to be expected: of 1,000 normal images, about
{{ of_a_thousand }} have a p-value of {{ some_p }} or less. Both hold for images of the same origin and preparation as
the calibration images; after a change of device, camera or site, calibrate again.
{% if grouped %}
They hold for images of the very groups that the calibration images are of; for those of other groups they say little.
{% endif %}
A high score says that an image is unusual, not why.</p>
</section>
<section id="classes">
<h2>What was caught, class by class</h2>
{% if classes.body %}{{ table(classes, classes_caption) }}{% else %}<p>The test set holds no image.</p>{% endif %}
</section>
{% for note in notes %}
<section id="note-{{ loop.index }}">
<h2>{{ note.title }}</h2>
<p>{{ note.text }}</p>
{{ table(note.table) }}
</section>
{% endfor %}
<section id="figures">
<h2>Figures</h2>
{% if not figures %}<p>No figure was handed to this report.</p>{% endif %}
{% for figure in figures %}
<h3 id="figure-{{ loop.index }}">{{ figure.title }}</h3>
{% if figure.reading %}<p>{{ figure.reading }}</p>{% endif %}
{% if figure.failure %}<p class="bad"><strong>A bad sign:</strong> {{ figure.failure }}</p>{% endif %}
<figure><img style="width: {{ figure.inches }}in" src="data:image/png;base64,{{ figure.png }}"
  alt="{{ figure.title }}. {{ figure.reading }}">
{% if figure.data %}<figcaption>Drawn from \
{% for name in figure.data %}<code>{{ name }}</code>{{ ", " if not loop.last }}{% endfor %}</figcaption>{% endif %}
</figure>
{% endfor %}
</section>
<section id="settings">
<h2>Numbers, parameters and digests</h2>
<details><summary>All numbers</summary>
{{ table(metrics) }}
</details>
<details><summary>All parameters</summary>
{{ table(parameters, whose) }}
</details>
<details><summary>Digests</summary>
{{ table(digests) }}
</details>
</section>
</main>
</body>
</html>
"""
