"""A verdict's and a run's reason in Spanish.

Reasons are kept in ``run.json`` in English, put together from a few phrases and numbers (`measures.verdict`,
`measures.run`). Here each phrase is a pattern; what none of them knows stays as it is.
"""

import re

_PHRASES = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        (r"a fact of this run, no estimate", "un hecho de esta ejecución, no una estimación"),
        (r"the observed value breaks the limit", "el valor observado incumple el límite"),
        (r"the whole 95 % interval satisfies the limit", "todo el intervalo del 95 % respeta el límite"),
        (r"the whole 95 % interval breaks the limit", "todo el intervalo del 95 % incumple el límite"),
        (r"the 95 % interval straddles the limit", "el intervalo del 95 % cruza el límite"),
        (r"too few values for a 95 % interval", "demasiado pocos valores para un intervalo del 95 %"),
        (r"too little was measured to fit it", "se midió demasiado poco para ajustarlo"),
        (r"nothing that could count ever ran", "nunca hubo nada que pudiera contarse"),
        (r"nothing was measured", "no se midió nada"),
        (r"nothing was tried", "no se intentó nada"),
        (r"(\d+) more could not be told, and would decide it", r"no se conocen otros: \1, y lo decidirían"),
        (r"(\d+) more could not be told", r"no se conocen otros: \1"),
        (r"(\d+) missing counted as worse than any limit", r"ausentes: \1, peores que todo límite"),
        (r"(\d+) values? (?:is|are) missing, which counts? as worse than any limit",
         r"valores ausentes: \1, peores que todo límite"),
        (r"about (\d+) more like these would tell, four times of five",
         r"unos \1 más como estos lo dirían, cuatro veces de cada cinco"),
        (r"about (\d+) more like these would tell", r"unos \1 más como estos lo dirían"),  # of earlier versions
        (r"about (\d+ (?:s|min|h)) more like this would tell, four times of five",
         r"unos \1 más así lo dirían, cuatro veces de cada cinco"),
        (r"about (\d+ (?:s|min|h)) more would be a beginning", r"unos \1 más serían un comienzo"),
        (r"it lies too near the limit for more to tell", "está demasiado cerca del límite para que más lo digan"),
        (r"what is missing would decide it, not more samples", "lo decidiría lo que falta, no más muestras"),
        (r"it takes (\d+) at least", r"hacen falta \1 como mínimo"),
        (r"more samples would tell", "más muestras lo dirían"),
        (r"more time would tell", "más tiempo lo diría"),
        (r"1 of (\d+) checks? failed", r"falló 1 de \1 comprobaciones"),
        (r"(\d+) of (\d+) checks? failed", r"fallaron \1 de \2 comprobaciones"),
        (r"(\d+) of (\d+) checks? had not enough data", r"\1 de \2 comprobaciones sin datos suficientes"),
        (r"all (\d+) checks passed", r"se superaron las \1 comprobaciones"),
        (r"1 check passed", "se superó la única comprobación"),
        (r"the generator limited the run", "el generador limitó la ejecución"),
        (r"the generator left no self-check", "el generador no dejó autocontrol"),
        (r"the drill has no checks", "el simulacro no tiene comprobaciones"),
        (r"the run never told its end: it still goes on, or it was killed",
         "la ejecución nunca dijo su fin: aún sigue, o la mataron"),
        (r"the run was interrupted before its end", "la ejecución se interrumpió antes de su fin"),
        (r"the run was aborted before its end", "la ejecución se abortó antes de su fin"),
        (r"a check with abort_on_fail stopped the run", "una comprobación con abort_on_fail detuvo la ejecución"),
    )
)  # fmt: skip


def reason_in_spanish(reason: str) -> str:
    """The reason with every phrase that is known put into Spanish."""
    for pattern, text in _PHRASES:
        reason = pattern.sub(text, reason)
    return reason
