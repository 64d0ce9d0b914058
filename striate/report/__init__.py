"""A study's results as one HTML page: `pages.build` returns it, `pages.write` puts it into the study's folder.

Layers of the room: numbers (`figures`, `curves`), charts (`draw`, `marks`, `svg`), texts (`sections`, `study_facts`,
`limits`, `wording`), the page (`pages`, templates). Nothing is imported here, so that the renderer of the charts, a
process of its own, starts fast.
"""
