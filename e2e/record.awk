# Draws lines of a terminal as an SVG that shows them one after another. All lines lie in one tall picture, of which a
# window is visible: a cover hides those to come, and the picture moves up when the window is full.

BEGIN {
    columns = 110; rows = 30; height = 18; width = 7.83; margin = 14
}

function escaped(text) {
    gsub(/&/, "\\&amp;", text); gsub(/</, "\\&lt;", text); gsub(/>/, "\\&gt;", text); gsub(/\t/, "    ", text)
    return text
}

# Adds one line of the window, which is shown `pause` seconds after the one before.
function add(text, style, pause) {
    count++
    shown[count] = text; class[count] = style
    time += pause; at[count] = time
}

{
    style = "output"; pause = 0.08
    if ($0 ~ /^=== /) { style = "chapter"; pause = 1 }
    else if ($0 ~ /^# /) { style = "comment"; pause = previous == "comment" ? 0.4 : 1.6 }
    else if ($0 ~ /^(node-[a-z])?\$ /) { style = "command"; pause = 1.2 }
    previous = style
    line = $0
    do {
        add(substr(line, 1, columns), style, pause)
        line = substr(line, columns + 1)
        pause = 0
    } while (line != "")
}

END {
    total = time + 6
    w = columns * width + 2 * margin; h = rows * height + 2 * margin
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" xml:space=\"preserve\" font-size=\"13\"", w, h
    print " font-family=\"ui-monospace,SFMono-Regular,Menlo,Consolas,monospace\">"
    print "<title>make demo: the same pods without callgate and with it</title>"
    print "<style>"
    print "@media(prefers-reduced-motion){#all,#cover{animation:none!important}}"
    print "text{fill:#c9d1d9;white-space:pre}.chapter{fill:#f2cc60;font-weight:bold}.comment{fill:#7ee787}.command{fill:#fff;font-weight:bold}"
    # Where nothing moves, the first lines are visible.
    printf "#cover{transform:translateY(%dpx)}", count * height
    printf "#all,#cover{animation:%.1fs step-end infinite}#all{animation-name:up}#cover{animation-name:down}\n", total
    up = "@keyframes up{0%{transform:none}"; down = "@keyframes down{0%{transform:none}"
    for (i = 1; i <= count; i++) {
        if (i < count && at[i + 1] == at[i]) continue       # the rest of a long line is shown with it
        percent = sprintf("%.2f%%", 100 * at[i] / total)
        down = down percent "{transform:translateY(" i * height "px)}"
        if (i > rows) up = up percent "{transform:translateY(-" (i - rows) * height "px)}"
    }
    print up "}"; print down "}"
    print "</style>"
    printf "<rect width=\"%d\" height=\"%d\" rx=\"8\" fill=\"#0d1117\"/>\n", w, h
    printf "<svg x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"><g id=\"all\">\n", margin, margin, columns * width, rows * height
    for (i = 1; i <= count; i++)
        if (shown[i] != "")
            printf "<text y=\"%d\"%s>%s</text>\n", i * height - 5, class[i] == "output" ? "" : " class=\"" class[i] "\"", escaped(shown[i])
    printf "<rect id=\"cover\" width=\"%d\" height=\"%d\" fill=\"#0d1117\"/>\n", columns * width, (count + rows) * height
    print "</g></svg>"
    print "</svg>"
}
