"""What comes next: quantiles of series of traffic, simple methods beside the learned one, and rolling examinations."""

from ...registry import Registry

FORECASTERS = Registry(
    "forecaster",
    {
        "auto-arima": "flowlore.tasks.forecast.arima:AutoArima",
        "auto-ets": "flowlore.tasks.forecast.smoothing:AutoEts",
        "ewma": "flowlore.tasks.forecast.simple:Ewma",
        "flowgen": "flowlore.tasks.forecast.flowgen:FlowgenForecaster",
        "gru": "flowlore.tasks.forecast.recurrent:Recurrent",
        "lightgbm": "flowlore.tasks.forecast.trees:BoostedLags",
        "linear": "flowlore.tasks.forecast.linear:LinearLags",
        "mixture": "flowlore.tasks.forecast.mixture:Mixture",
        "persistence": "flowlore.tasks.forecast.simple:Persistence",
        "seasonal-naive": "flowlore.tasks.forecast.simple:SeasonalNaive",
    },
)
