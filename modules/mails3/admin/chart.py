# -*- coding: utf-8 -*-

"""
    The chart of the admin's page: how many deliveries were sent in the last 24
    hours, and how many were not

    @copyright: 2026 (c) the MailS3 authors
    @license: MIT
"""

__all__ = ("chart_svg",)

# -----------------------------------------------------------------------------
def chart_svg(hours):
    """
        Draw the chart

        Args:
            hours: as from Report.hours()

        Returns:
            the svg element (str)
    """

    width, height, base = 720, 130, 105 # pixels; base: where the bars stand
    most = max(max(sent + lost for _, sent, lost in hours), 1)
    step = width / len(hours)
    marks = []
    for index, (start, sent, lost) in enumerate(hours):
        left = index * step
        marks.extend(bars(left, step, base, most, sent, lost))
        marks.append('<rect class="hour" x="%.1f" y="0" width="%.1f" height="%d">'
                     '<title>%s:00 UTC: %d sent, %d not</title></rect>' %
                     (left, step, base, start.strftime("%H"), sent, lost))
        if not start.hour % 3:
            marks.append('<text x="%.1f" y="%d" text-anchor="middle">%s</text>' %
                         (left + step / 2, height - 8, start.strftime("%H:00")))
    return '<svg viewBox="0 0 %d %d" role="img" aria-label="%d sent and %d not, in ' \
           'the last 24 hours"><line x1="0" x2="%d" y1="%d" y2="%d"/>%s' \
           '<text x="2" y="12">%d per hour</text></svg>' % \
           (width, height, sum(hour[1] for hour in hours),
            sum(hour[2] for hour in hours), width, base, base, "".join(marks), most)

# -----------------------------------------------------------------------------
def bars(left, step, base, most, sent, lost):
    """
        The bars of one hour of a chart, one upon the other

        Args:
            left, step, base: where the hour begins, its width, where the bars
                              stand (pixels)
            most: how many deliveries the highest bar of the chart has
            sent, lost: how many deliveries of this hour were sent, and were not

        Returns:
            generator of svg elements (str)
    """

    top = base
    for name, count in (("sent", sent), ("lost", lost)):
        if count:
            # At least two pixels, so that a single delivery can be seen
            tall = max(count * (base - 18) / most, 2)
            top -= tall
            yield '<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>' % \
                  (name, left + 2, top, step - 4, tall)

# END =========================================================================
